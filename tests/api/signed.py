"""A client of the tests' own that signs by hand, so that a test can break one thing at a time."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rehost.api import codes, gateway, rpc, signature, times
from rehost.api.actions import ACTIONS
from rehost.store.keys import AccessKey
from tests.api.world import World


def v1_parameters(key: AccessKey, now: float, action: str, **business: str) -> dict[str, str]:
    return {
        "Action": action,
        "Version": "2019-06-01",
        "Format": "JSON",
        "AccessKeyId": key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": times.write(now),
        **business,
    }


def sign_v1(method: str, parameters: Mapping[str, str], secret: str) -> dict[str, str]:
    text = signature.string_to_sign_v1(method, list(parameters.items()))
    return {**parameters, "Signature": signature.sign_v1(text, secret)}


def v3_headers(
    key: AccessKey, now: float, action: str, query: Mapping[str, str], body: bytes = b"", **changes: str
) -> dict[str, str]:
    headers = {
        "host": "localhost",
        "x-acs-action": action,
        "x-acs-version": "2019-06-01",
        "x-acs-date": times.write(now),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **changes,
    }
    listed = sorted(headers)
    text = signature.string_to_sign_v3(
        "POST", list(query.items()), headers, listed, hashlib.sha256(body).hexdigest()
    )
    signed = signature.sign_v3(text, key.secret)
    headers["authorization"] = (
        f"{signature.V3} Credential={key.id},SignedHeaders={';'.join(listed)},Signature={signed}"
    )
    return headers


def send(
    world: World, method: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes = b""
) -> tuple[int, dict[str, Any]]:
    """Through the codec and the gateway, without HTTP."""
    try:
        request = rpc.decode(method, urlencode(query).encode(), headers, body)
    except rpc.ApiError as error:
        reply = gateway.refuse(error, "json", gateway.new_request_id(), "localhost")
    else:
        reply = gateway.answer(request, world.services, gateway.Origin("localhost"))
    return reply.status, json.loads(reply.body)


def call(
    world: World, action: str, key: AccessKey | None = None, **business: str
) -> tuple[int, dict[str, Any]]:
    """A correctly signed call; dots in names are written as double underscores.

    Whatever a test is about, it fails when the reply's error code is not documented.
    """
    by = key or world.key
    named = {name.replace("__", "."): value for name, value in business.items()}
    parameters = v1_parameters(by, world.clock(), action, **named)
    status, reply = send(world, "GET", sign_v1("GET", parameters, by.secret), {})
    check_code(action, status, reply)
    return status, reply


def check_code(action: str, status: int, reply: Mapping[str, Any]) -> None:
    """An error's code is one that the action declares, and its status and text are those of the table."""
    if status == 200 or action not in ACTIONS:
        return
    code = reply["Code"]
    assert code in (*codes.declared(ACTIONS[action]), *codes.OF_REQUESTS), f"{action} does not declare {code}"
    known = codes.find(code)
    assert status == known.status, code
    if code in (*codes.OF_ACTIONS, *codes.OF_REQUESTS):
        texts = (known.text, codes.OF_V3[code].text) if code in codes.OF_V3 else known.text
        assert reply["Message"].startswith(texts), (code, reply["Message"])
