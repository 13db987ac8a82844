"""Replies in both formats, errors of every stage too, and a RequestId in each of them."""

import http.client
import json
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import urlencode

import pytest

from tests.api.signed import sign_v1, v1_parameters
from tests.api.world import World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REQUEST_ID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
PARTS = ["RequestId", "HostId", "Code", "Message", "Recommend"]


def exchange(
    port: int, method: str, target: str, body: bytes = b""
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, target, body, FORM if body else {})
    response = connection.getresponse()
    try:
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def signed(world: World, method: str, form: str, **business: str) -> str:
    parameters = {
        **v1_parameters(world.key, world.clock(), "DescribeSourceServers", **business),
        "Format": form,
    }
    return urlencode(sign_v1(method, parameters, world.key.secret))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", ["XML", "xml", "JSON", "json", ""])
@pytest.mark.parametrize("place", ["query", "form", "both"])
def test_methods_places_and_formats(world: World, port: int, method: str, form: str, place: str) -> None:
    text = signed(world, method, form, PageSize="7")
    pairs = text.split("&")
    query, body = {"query": (pairs, []), "form": ([], pairs), "both": (pairs[:5], pairs[5:])}[place]
    status, answer, headers = exchange(port, method, f"/?{'&'.join(query)}", "&".join(body).encode())
    assert status == 200, answer
    if form.lower() == "xml":
        root = ElementTree.fromstring(answer)
        assert root.tag == "DescribeSourceServersResponse"
        found = {child.tag: child.text for child in root}
        assert headers["content-type"] == "text/xml;charset=utf-8"
    else:
        found = json.loads(answer)
        assert headers["content-type"].startswith("application/json")
    assert str(found["PageSize"]) == "7"
    assert REQUEST_ID.fullmatch(found["RequestId"])
    assert headers["x-acs-request-id"] == found["RequestId"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/nothing?{}", 404, "InvalidAction.NotFound"),
        ("/?{}&Name=%ff", 400, "InvalidParameter.Format"),
        ("/?{}&PageSize=8", 400, "InvalidParameter.Format"),
        ("/?{}&" + "&".join("a" * 5000), 413, "RequestTooLarge"),
        ("/?{}&New=1", 400, "SignatureDoesNotMatch"),
        ("/?Format={form}", 400, "MissingAction"),
        ("/?Format={form}&Action=A&Version=1", 400, "InvalidVersion"),
        ("/?Format={form}&Action=A&Version=2019-06-01", 404, "InvalidAction.NotFound"),
    ],
)
@pytest.mark.parametrize("form", ["XML", "JSON"])
def test_errors(world: World, port: int, target: str, status: int, code: str, form: str) -> None:
    """The same code, whatever stage of the request it comes from."""
    filled = target.format(signed(world, "GET", form, PageSize="7"), form=form)
    got, answer, headers = exchange(port, "GET", filled)
    if form == "XML":
        assert answer.startswith(b"<?xml version='1.0' encoding='UTF-8'?><Error>")
        found = {child.tag: child.text or "" for child in ElementTree.fromstring(answer)}
    else:
        found = json.loads(answer)
    assert (got, found["Code"]) == (status, code)
    assert list(found) == PARTS
    assert found["HostId"] == f"127.0.0.1:{port}"
    assert headers["x-acs-request-id"] == found["RequestId"]
    assert REQUEST_ID.fullmatch(found["RequestId"])
