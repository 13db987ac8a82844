"""The API over real HTTP: what is too large or malformed is refused, and nothing else is disturbed."""

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest

from rehost.api import rpc
from tests.api.signed import sign_v1, v1_parameters, v3_headers
from tests.api.world import World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask(
    port: int, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


def signed(world: World, method: str = "GET", **business: str) -> str:
    parameters = v1_parameters(world.key, world.clock(), "DescribeSourceServers", **business)
    return urlencode(sign_v1(method, parameters, world.key.secret))


def alive(world: World, port: int) -> bool:
    return ask(port, "GET", f"/?{signed(world)}")[0] == 200


def raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_get_and_post(world: World, port: int) -> None:
    assert ask(port, "GET", f"/?{signed(world)}")[0] == 200
    assert ask(port, "POST", f"/?{signed(world, 'POST')}")[0] == 200
    status, reply, headers = ask(port, "POST", "/", signed(world, "POST").encode(), FORM)
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert headers["x-acs-request-id"] == reply["RequestId"]


def test_v3_over_http(world: World, port: int) -> None:
    query = {"Name": "a b/ü"}
    headers = v3_headers(world.key, world.clock(), "DescribeSourceServers", query, host=f"127.0.0.1:{port}")
    assert ask(port, "POST", f"/?{urlencode(query)}", headers=headers)[0] == 200


def test_a_target_in_absolute_form(world: World, port: int) -> None:
    target = f"http://smc.example.com/?{signed(world)}"
    answer = raw(
        port, f"GET {target} HTTP/1.1\r\nHost: smc.example.com\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/"), ("DELETE", "/"), ("GET", "/nothing"), ("GET", "/a/b")]
)
def test_other_methods_and_paths(world: World, port: int, method: str, path: str) -> None:
    status, reply, _ = ask(port, method, f"{path}?{signed(world, method)}")
    assert (status, reply["Code"]) == (404, "InvalidAction.NotFound")
    assert reply["HostId"] == f"127.0.0.1:{port}"


def test_a_long_query_is_fine(world: World, port: int) -> None:
    """16 data disks of many partitions fit: all clients put them into the query."""
    parameters = {f"DataDisk.1.Part.{i}.Device": "1_0" * 20 for i in range(1, 1000)}
    assert ask(port, "GET", f"/?{signed(world, **parameters)}")[0] == 200


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("a=" + "x" * rpc.MAX_QUERY, b"", 413, "RequestTooLarge"),
        ("", b"x" * (rpc.MAX_BODY + 1), 413, "RequestTooLarge"),
        ("", b"&".join(b"a%d=1" % i for i in range(20_000)), 413, "RequestTooLarge"),
        ("&" * 100_000, b"", 413, "RequestTooLarge"),
        ("Name=%ff", b"", 400, "InvalidParameter.Format"),
        ("", b"Name=\xff", 400, "InvalidParameter.Format"),
        ("Name=a%00b", b"", 400, "InvalidParameter.Format"),
        ("%00=a", b"", 400, "InvalidParameter.Format"),
        ("Action=A&Action=B", b"", 400, "InvalidParameter.Format"),
        ("Action=A", b"Action=B", 400, "InvalidParameter.Format"),
        ("", b"", 400, "MissingAction"),
    ],
)
def test_refused_before_anything_is_done(
    world: World, port: int, query: str, body: bytes, status: int, code: str
) -> None:
    got, reply, _ = ask(port, "POST", f"/?{query}", body, FORM)
    assert (got, reply["Code"]) == (status, code)
    assert alive(world, port)


def test_an_absurd_index(world: World, port: int) -> None:
    parameters = v1_parameters(
        world.key, world.clock(), "CreateReplicationJob", RegionId="r-1", SourceId="s-1",
        **{"DataDisk.999999999.Size": "20"},
    )  # fmt: skip
    status, reply, _ = ask(port, "GET", f"/?{urlencode(sign_v1('GET', parameters, world.key.secret))}")
    assert (status, reply["Code"]) == (400, "NumberExceed.DataDisks")
    assert "DataDisk.999999999" in reply["Message"]


def test_ten_mebibytes_are_refused_while_they_come(world: World, port: int) -> None:
    """The answer does not wait for the body's end, and the rest is not read."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\n" + b"x" * (1 << 20)
        )
        answer = b""
        while b"RequestTooLarge" not in answer and (part := connection.recv(65536)):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413")
    assert alive(world, port)


def test_an_endless_chunked_body(world: World, port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head + chunk * 8)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    assert alive(world, port)


def test_headers_without_end(world: World, port: int) -> None:
    with suppress(ConnectionError):  # closed while more was on its way
        answer = raw(port, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000)
        assert answer.startswith(b"HTTP/1.1 400")
    assert alive(world, port)


def test_noise(world: World, port: int) -> None:
    assert raw(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50).startswith(b"HTTP/1.1 400")
    assert alive(world, port)


def test_noise_does_not_fill_the_log(world: World, port: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        raw(port, b"\x16\x03\x01")
        raw(port, b"noise\r\n\r\n")
    assert len([record for record in caplog.records if "Invalid HTTP" in record.message]) <= 1


def test_who_goes_away_in_the_middle_is_not_told_of(
    world: World, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Else strangers could fill the log: a traceback has a hundred lines."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    for begun in (b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head + begun)
    assert all(alive(world, port) for _ in range(3))
    assert not caplog.records


def test_what_fails_inside_is_an_internal_error(world: World, port: int) -> None:
    world.store.database.engine.dispose()
    with world.store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE source_servers RENAME TO gone")
    status, reply, _ = ask(port, "GET", f"/?{signed(world)}")
    assert (status, reply["Code"]) == (500, "InternalError")
    assert reply["Message"].startswith("An error occurred while processing your request.")
    assert "gone" not in json.dumps(reply)
