"""Addresses of interfaces from the kernel's own answer (RTM_GETADDR): no ip(8) is needed, however old."""

import socket
import struct
from collections.abc import Iterator

REQUEST = struct.pack("=IHHII8B", 24, 22, 0x301, 1, 0, *bytes(8))  # dump all addresses of all families

_DONE, _NEW_ADDRESS = 3, 20
_ADDRESS, _LOCAL = 1, 2
_LINK_SCOPE = 253


def ends(answer: bytes) -> bool:
    """Whether the dump is complete."""
    return any(kind == _DONE for kind, _ in _messages(answer))


def addresses(answer: bytes) -> list[tuple[int, str]]:
    """(interface index, address in CIDR notation) of every address that reaches beyond the link."""
    found = []
    for kind, body in _messages(answer):
        if kind == _NEW_ADDRESS:
            prefix, scope, index = struct.unpack_from("=xBxBI", body)
            text = _address(body[8:])
            if text and scope < _LINK_SCOPE:
                found.append((index, f"{text}/{prefix}"))
    return found


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 16 <= len(answer):
        length, kind = struct.unpack_from("=IH", answer, at)
        if length < 16:
            return
        yield kind, answer[at + 16 : at + length]
        at += (length + 3) & ~3


def _address(attributes: bytes) -> str:
    """LOCAL is the own address; ADDRESS is the peer's on point-to-point links, and all that IPv6 sends."""
    values, at = {}, 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if length < 4:
            break
        values[kind] = attributes[at + 4 : at + length]
        at += (length + 3) & ~3
    raw = values.get(_LOCAL) or values.get(_ADDRESS)
    if not raw:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
