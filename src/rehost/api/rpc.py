"""Requests as they come over HTTP into values, replies into bytes. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from rehost.api.errors import ApiError, shown, wrong_type
from rehost.api.signature import Pairs

MAX_QUERY = 128 << 10  # bytes
MAX_BODY = 256 << 10  # bytes
MAX_PARAMETERS = 4000  # 16 data disks of 32 partitions with 3 members each are 1,600

Encodable = Mapping[str, Any] | msgspec.Struct

_WANTS_XML = re.compile(rb"(?:^|&)Format=xml(?:&|$)", re.IGNORECASE)
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    query: Pairs  # decoded
    form: Pairs  # decoded
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        return dict([*self.query, *self.form])

    @property
    def format(self) -> str:
        return self.parameters.get("Format", "").lower() or "json"


def decode(method: str, query: bytes, headers: Mapping[str, str], body: bytes) -> Request:
    """ApiError for what is too large, not UTF-8, has NUL bytes, or gives a parameter two values."""
    if len(query) > MAX_QUERY:
        raise too_large("the query", MAX_QUERY)
    if len(body) > MAX_BODY:
        raise too_large("the body", MAX_BODY)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    form = _pairs(body, "body") if kind == "application/x-www-form-urlencoded" else []
    request = Request(method, _pairs(query, "query"), form, headers, body)
    _refuse_repeated(request)
    return request


def wanted_format(query: bytes, body: bytes = b"") -> str:
    """Of a reply to a request that cannot be decoded."""
    return "xml" if _WANTS_XML.search(query[:MAX_QUERY]) or _WANTS_XML.search(body) else "json"


def too_large(what: str, most: int) -> ApiError:
    return ApiError(413, "RequestTooLarge", f"The request is too large: {what} has more than {most} bytes.")


def _pairs(data: bytes, place: str) -> Pairs:
    if data.count(b"&") >= MAX_PARAMETERS:
        raise ApiError(413, "RequestTooLarge", f"The {place} has more than {MAX_PARAMETERS} parameters.")
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise wrong_type(f"the {place}", ascii(data[:40]), "UTF-8") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise wrong_type(name.replace("\0", "\\0"), value, "free of NUL characters")
    return pairs


def _refuse_repeated(request: Request) -> None:
    """Which of two values is meant would depend on the reader: signer, checker or handler.

    The same in the query and in the form is one value: alibabacloud-tea-rpc sends RegionId so, signed once.
    """
    for pairs, elsewhere in ((request.query, {}), (request.form, dict(request.query))):
        seen = set()
        for name, value in pairs:
            if name in seen or elsewhere.get(name, value) != value:
                raise wrong_type(name, value, f"the only value of {shown(name)}: it is given more than once")
            seen.add(name)


def to_json(reply: Encodable) -> bytes:
    return msgspec.json.encode(reply)


def to_xml(root: str, reply: Encodable) -> bytes:
    return f"<?xml version='1.0' encoding='UTF-8'?>{_element(root, msgspec.to_builtins(reply))}".encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, Mapping):
        inner = "".join(_element(key, item) for key, item in value.items())
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif isinstance(value, float):
        inner = f"{value:g}"
    else:
        inner = escape(_NOT_XML.sub("\ufffd", str(value)))
    return f"<{name}>{inner}</{name}>"
