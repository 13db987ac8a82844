"""Tickets: the only right to write. The control plane signs them, the receiver verifies them.

`base64url(JSON) "." base64url(HMAC-SHA256 of that JSON)`, without padding.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

import msgspec

from rehost.core.errors import TicketError, TicketExpiredError
from rehost.wire.messages import MAX_TICKET

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*")
_AGAIN = "start the job again: it gets a new ticket"


@dataclass(frozen=True, slots=True)
class TicketVolume:
    volume: int
    size: int  # bytes
    chunk: int  # bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to write the volumes of one replica, for one generation of one run."""

    replica: str  # the replica's folder name
    run: str
    generation: int
    volumes: tuple[TicketVolume, ...]
    checksum: bool  # verify each chunk's digest before it is written
    expires: int  # Unix seconds; looked at when a connection opens


def sign(ticket: Ticket, key: bytes) -> str:
    """The ticket as text, signed."""
    content = msgspec.json.encode(ticket)
    return f"{_text(content)}.{_text(_seal(content, key))}"


def verify(text: str, key: bytes, now: float) -> Ticket:
    """The ticket in the text; TicketError if another key signed it, TicketExpiredError if it is too late."""
    if len(text) > MAX_TICKET:
        raise TicketError(f"a ticket of {len(text)} bytes, the most is {MAX_TICKET}", _AGAIN)
    content, seal = _parts(text)
    if not hmac.compare_digest(seal, _seal(content, key)):
        raise TicketError("the ticket's signature is wrong", _AGAIN)
    ticket = _ticket(content)
    if now >= ticket.expires:
        raise TicketExpiredError(f"the ticket expired {now - ticket.expires:.0f} s ago", _AGAIN)
    return ticket


def _seal(content: bytes, key: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _parts(text: str) -> tuple[bytes, bytes]:
    try:
        content, seal = (
            base64.b64decode(part + "=" * (-len(part) % 4), b"-_", validate=True) for part in text.split(".")
        )
    except (ValueError, binascii.Error) as error:
        raise TicketError("the ticket is no ticket", _AGAIN) from error
    return content, seal


def _ticket(content: bytes) -> Ticket:
    try:
        ticket = msgspec.json.decode(content, type=Ticket)
    except msgspec.DecodeError as error:
        raise TicketError(f"the ticket is of another release: {error}", _AGAIN) from error
    if not _NAME.fullmatch(ticket.replica):
        raise TicketError("the ticket names no replica", _AGAIN)
    return ticket
