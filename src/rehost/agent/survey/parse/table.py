"""Partition tables: MBR with its chain of extended ones, and GPT, read from the disk itself."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Read = Callable[[int, int], bytes]

_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_MOST_LOGICAL = 256  # a chain longer than this is a loop


@dataclass(frozen=True, slots=True)
class Entry:
    number: int  # the kernel's: sda5 is 5
    start: int  # bytes
    size: int  # bytes
    extended: bool = False  # only a container of logical partitions


@dataclass(frozen=True, slots=True)
class Table:
    kind: str  # dos or gpt
    entries: tuple[Entry, ...]

    @property
    def partitions(self) -> tuple[Entry, ...]:
        """What holds data, in the order on the disk."""
        return tuple(sorted((e for e in self.entries if not e.extended), key=lambda entry: entry.start))


def parse(read: Read, size: int, sector: int) -> Table | None:
    """The table of a disk of `size` bytes with sectors of `sector` bytes; None: there is none."""
    first = read(0, 512)
    if first[510:512] != b"\x55\xaa" or _is_boot_sector_of_a_file_system(first):
        return None
    kinds = [kind for kind, _, _ in _slots(first)]
    if _PROTECTIVE in kinds:
        return _gpt(read, size, sector)
    entries = tuple(_mbr(read, first, size, sector))
    return Table("dos", entries) if entries else None


def _is_boot_sector_of_a_file_system(first: bytes) -> bool:
    return first[82:87] == b"FAT32" or first[54:58] in (b"FAT1", b"FAT ") or first[3:7] == b"NTFS"


def _slots(sector: bytes) -> list[tuple[int, int, int]]:
    """(type, first sector, sectors) of the four slots of an MBR or EBR."""
    slots = []
    for at in range(446, 510, 16):
        start, count = struct.unpack_from("<II", sector, at + 8)
        slots.append((sector[at + 4], start, count))
    return slots


def _mbr(read: Read, first: bytes, size: int, sector: int) -> Iterator[Entry]:
    for number, (kind, start, count) in enumerate(_slots(first), 1):
        if not kind or not count or start * sector >= size:
            continue
        extended = kind in _EXTENDED
        yield Entry(number, start * sector, count * sector, extended)
        if extended:
            yield from _logical(read, start, sector)


def _logical(read: Read, container: int, sector: int) -> Iterator[Entry]:
    """The chain: slot 0 relative to its own EBR, slot 1 (the next EBR) relative to the container."""
    at, number = container, 5
    for _ in range(_MOST_LOGICAL):
        block = read(at * sector, 512)
        if block[510:512] != b"\x55\xaa":
            return
        (kind, start, count), (next_kind, next_start, _), *_ = _slots(block)
        if kind and count:
            yield Entry(number, (at + start) * sector, count * sector)
            number += 1
        if next_kind not in _EXTENDED:
            return
        at = container + next_start


def _gpt(read: Read, size: int, sector: int) -> Table | None:
    for lba in (1, size // sector - 1):  # the backup stands in for a damaged primary
        entries = _gpt_at(read, lba, sector)
        if entries is not None:
            return Table("gpt", entries)
    return None


def _gpt_at(read: Read, lba: int, sector: int) -> tuple[Entry, ...] | None:
    header = read(lba * sector, 512)
    if header[:8] != b"EFI PART" or len(header) < 92:
        return None
    length, checksum = struct.unpack_from("<II", header, 12)
    table, count, width = struct.unpack_from("<QII", header, 72)
    cleared = header[:16] + bytes(4) + header[20:length]
    if not 92 <= length <= 512 or zlib.crc32(cleared) != checksum or count > 4096 or width < 128:
        return None
    raw = read(table * sector, count * width)
    return tuple(_gpt_entries(raw, width, sector))


def _gpt_entries(raw: bytes, width: int, sector: int) -> Iterator[Entry]:
    for number, at in enumerate(range(0, len(raw) - width + 1, width), 1):
        if any(raw[at : at + 16]):
            first, last = struct.unpack_from("<QQ", raw, at + 32)
            yield Entry(number, first * sector, (last - first + 1) * sector)
