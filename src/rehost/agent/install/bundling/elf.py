"""Just enough of ELF: what to leave out of a program or library, and which loader it asks for."""

import struct

_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")  # 64-bit, little endian: what Linux servers are
_INTERPRETER = 3


def is_elf(content: bytes) -> bool:
    return content[:6] == b"\x7fELF\x02\x01"


def trimmed(content: bytes) -> bytes:
    """Without what no program header covers: debug information, symbols for debuggers, section headers.

    The loader looks at program headers only. It makes wheels built with debug information ten times smaller,
    and needs no strip(1) on the control plane.
    """
    end = max(offset + size for _, offset, size in _segments(content))
    header = bytearray(content[:end])
    header[40:48] = bytes(8)  # e_shoff
    header[58:64] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(header)


def loader(content: bytes) -> str:
    """The path of the program interpreter; empty: it names none (a library, a static program)."""
    for kind, offset, size in _segments(content):
        if kind == _INTERPRETER:
            return content[offset : offset + size].rstrip(b"\0").decode()
    return ""


def _segments(content: bytes) -> list[tuple[int, int, int]]:
    """(type, offset in the file, size in the file) of each program header, and the headers' own place."""
    _, _, _, _, table, _, _, _, width, count, *_ = _HEADER.unpack_from(content)
    found = [(0, table, width * count)]
    for at in range(table, table + width * count, width):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", content, at)
        found.append((kind, offset, size))
    return found
