"""The wire of NBD as a client needs it: fixed newstyle handshake, simple replies. Pure.

The protocol is https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md. Numbers are big-endian.
"""

import struct
from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum

from rehost.core.errors import VolumeError

GREETING = struct.Struct(">8s8sH")  # magic, option magic, handshake flags
OPTION_REPLY = struct.Struct(">QIII")  # magic, option, kind, length of what follows
REPLY = struct.Struct(">IIQ")  # magic, error, cookie

_INIT, _OPTION = b"NBDMAGIC", b"IHAVEOPT"
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_GO = 7
_OPTION_REPLY_MAGIC = 0x3E889045565A9
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_ACKNOWLEDGED, _INFO, _FAILED = 1, 3, 1 << 31
_INFO_EXPORT = 0
_HAS_FLAGS, _READ_ONLY, _SENDS_FLUSH, _SENDS_WRITE_ZEROES = 1, 1 << 1, 1 << 2, 1 << 6


class Command(IntEnum):
    READ = 0
    WRITE = 1
    DISCONNECT = 2
    FLUSH = 3
    WRITE_ZEROES = 6


@dataclass(frozen=True, slots=True)
class Export:
    size: int  # bytes
    flags: int

    @property
    def suitable(self) -> bool:
        """It can be flushed, and zeroed without sending zeroes, or else is there to be read only."""
        wanted = _SENDS_FLUSH | _SENDS_WRITE_ZEROES
        return bool(self.flags & _HAS_FLAGS) and (
            bool(self.flags & _READ_ONLY) or self.flags & wanted == wanted
        )


def answer_greeting(greeting: bytes, name: str) -> bytes:
    """What a client says to the server's first words, asking for an export."""
    init, option, flags = GREETING.unpack(greeting)
    if (init, option) != (_INIT, _OPTION) or not flags & _FIXED_NEWSTYLE or not flags & _NO_ZEROES:
        raise VolumeError("the NBD server does not speak the fixed newstyle handshake")
    wanted = struct.pack(">I", len(name.encode())) + name.encode() + struct.pack(">H", 0)
    header = struct.pack(">I8sII", _FIXED_NEWSTYLE | _NO_ZEROES, _OPTION, _GO, len(wanted))
    return header + wanted


def read_option_reply(header: bytes) -> tuple[int, int]:
    """The kind of an answer to the client's option, and how many bytes follow."""
    magic, option, kind, length = OPTION_REPLY.unpack(header)
    if magic != _OPTION_REPLY_MAGIC or option != _GO:
        raise VolumeError("the NBD server answered what was not asked")
    return kind, length


def read_export(kind: int, payload: bytes) -> Export | None:
    """What an answer says of the export; None if it says something else, VolumeError if it refuses."""
    if kind & _FAILED:
        raise VolumeError(f"the NBD server refused the export: {payload.decode(errors='replace') or kind}")
    if kind == _INFO and payload[:2] == struct.pack(">H", _INFO_EXPORT):
        _, size, flags = struct.unpack(">HQH", payload)
        return Export(size, flags)
    return None


def is_end(kind: int) -> bool:
    """Data flows after this answer."""
    return kind == _ACKNOWLEDGED


def request(command: Command, cookie: int, offset: int, length: int) -> bytes:
    """The header of a request; a write's data follows it."""
    return struct.pack(">IHHQQI", _REQUEST_MAGIC, 0, command, cookie, offset, length)


def read_reply(header: bytes, cookies: Container[int]) -> tuple[int, int]:
    """The error number of a request's reply, 0 for none, and the request's cookie; read data follows it if
    there is no error."""
    magic, error, cookie = REPLY.unpack(header)
    if magic != _REPLY_MAGIC or cookie not in cookies:
        raise VolumeError("the NBD server answered another request")
    return error, cookie
