"""The two request signatures of the API, as pure functions over decoded values.

Both verify what was decoded, never the raw text: clients differ in how they escape, not in what they mean.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

Pairs = Sequence[tuple[str, str]]

V3 = "ACS3-HMAC-SHA256"

_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]*), *Signature=(\S+)"
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of an ACS3 Authorization header."""

    access_key: str
    signed_headers: tuple[str, ...]
    signature: str


def encode(text: str) -> str:
    """RFC 3986: all but letters, digits and -_.~ as upper-case %XX of its UTF-8."""
    return quote(text, safe="")


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(parameters))


def string_to_sign_v1(method: str, parameters: Iterable[tuple[str, str]]) -> str:
    """`parameters`: query and form together, decoded; a Signature among them is left out."""
    signed = [(name, value) for name, value in parameters if name != "Signature"]
    return f"{method}&%2F&{encode(canonical_query(signed))}"


def sign_v1(string_to_sign: str, secret: str) -> str:
    digest = hmac.new(f"{secret}&".encode(), string_to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def parse_authorization(text: str) -> Authorization | None:
    """None for what is not an ACS3 header of the documented form."""
    match = _AUTHORIZATION.fullmatch(text.strip())
    if match is None:
        return None
    return Authorization(match[1], tuple(match[2].split(";")), match[3])


def string_to_sign_v3(
    method: str, query: Pairs, headers: Mapping[str, str], signed_headers: Sequence[str], body_hash: str
) -> str:
    """`headers`: by lower-case name; `body_hash`: lower-case hex SHA-256 of the body as received.

    A header that is listed and absent counts as empty, and so does not verify. Header values are taken with
    the escapes of undecodable bytes, so that the hash is over the bytes that were sent.
    """
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed_headers)
    request = "\n".join(
        [method, "/", canonical_query(query), lines, ";".join(signed_headers), body_hash],
    )
    return f"{V3}\n{hashlib.sha256(request.encode(errors='surrogateescape')).hexdigest()}"


def sign_v3(string_to_sign: str, secret: str) -> str:
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


def same(given: str, computed: str) -> bool:
    """Compare in constant time; `given` may be anything that a client sent."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), computed.encode())
