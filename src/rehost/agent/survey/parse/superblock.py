"""Which file system (or other owner) a partition holds, from its own first bytes.

Old distributions have no blkid that knows today's formats, and small ones have none at all; the few formats
that matter here are quickly read.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

_HEAD = 68 << 10  # bytes: the farthest superblock, btrfs', is at 64 KiB

Read = Callable[[int, int], bytes]
"""(offset, length) -> at most that many bytes; fewer at the end of the device."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    type: str  # as mount(8) and blkid spell it
    uuid: str = ""
    label: str = ""
    used: int | None = None  # bytes that the superblock says are in use
    written: int | None = None  # Unix seconds: when the superblock was last written, where it tells


def detect(read: Read) -> FileSystem | None:
    """What the device behind `read` holds; None: nothing that is known."""
    head = read(0, _HEAD).ljust(_HEAD, b"\0")
    for probe in _PROBES:
        found = probe(head)
        if found:
            return found
    return None


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()


def _luks(head: bytes) -> FileSystem | None:
    if not head.startswith(b"LUKS\xba\xbe"):
        return None
    return FileSystem("crypto_LUKS", _text(head[168:208]))


def _raid(head: bytes) -> FileSystem | None:
    """Linux md with its superblock at the front (1.1 and 1.2)."""
    for at in (0, 4096):
        if head[at : at + 8] == b"\xfc\x4e\x2b\xa9\x01\0\0\0":
            return FileSystem("linux_raid_member", str(UUID(bytes=head[at + 16 : at + 32])))
    return None


def _lvm(head: bytes) -> FileSystem | None:
    for at in range(0, 4 * 512, 512):
        if head[at : at + 8] == b"LABELONE" and head[at + 24 : at + 32] == b"LVM2 001":
            (offset,) = struct.unpack_from("<I", head, at + 20)
            return FileSystem("LVM2_member", _lvm_uuid(_text(head[at + offset : at + offset + 32])))
    return None


def _lvm_uuid(text: str) -> str:
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(text[a:b] for a, b in pairwise(cuts))


_EXT_JOURNAL = 0x4  # compatible feature
_EXT_64BIT = 0x80  # incompatible feature
_EXT3_INCOMPATIBLE = 0x2 | 0x4 | 0x10  # file types, needs recovery, meta block groups
_EXT3_READ_ONLY = 0x1 | 0x2 | 0x4  # sparse superblocks, large files, b-tree directories


def _ext(head: bytes) -> FileSystem | None:
    block = head[1024:2048]
    if block[56:58] != b"\x53\xef":
        return None
    _, blocks, _, free = struct.unpack_from("<4I", block)
    (log_size,) = struct.unpack_from("<I", block, 24)
    compatible, incompatible, read_only = struct.unpack_from("<3I", block, 92)
    if incompatible & _EXT_64BIT:
        blocks |= struct.unpack_from("<I", block, 0x150)[0] << 32
        free |= struct.unpack_from("<I", block, 0x158)[0] << 32
    used = (blocks - free) * (1024 << log_size) if log_size < 7 and blocks >= free else None
    kind = _ext_kind(compatible, incompatible, read_only)
    (written,) = struct.unpack_from("<I", block, 0x30)
    written |= block[0x274] << 32
    return FileSystem(kind, str(UUID(bytes=block[104:120])), _text(block[120:136]), used, written)


def _ext_kind(compatible: int, incompatible: int, read_only: int) -> str:
    if incompatible & ~_EXT3_INCOMPATIBLE or read_only & ~_EXT3_READ_ONLY:
        return "ext4"
    return "ext3" if compatible & _EXT_JOURNAL else "ext2"


def _xfs(head: bytes) -> FileSystem | None:
    if not head.startswith(b"XFSB"):
        return None
    size, blocks = struct.unpack_from(">IQ", head, 4)
    (free,) = struct.unpack_from(">Q", head, 144)
    used = (blocks - free) * size if blocks >= free else None
    return FileSystem("xfs", str(UUID(bytes=head[32:48])), _text(head[108:120]), used)


def _btrfs(head: bytes) -> FileSystem | None:
    block = head[64 << 10 :]
    if block[64:72] != b"_BHRfS_M":
        return None
    used, devices = struct.unpack_from("<Q8xQ", block, 0x78)
    # The figure is the whole file system's; over several devices it says nothing of this one.
    return FileSystem(
        "btrfs", str(UUID(bytes=block[32:48])), _text(block[0x12B:0x22B]), used if devices == 1 else None
    )


def _swap(head: bytes) -> FileSystem | None:
    for page in (4 << 10, 8 << 10, 16 << 10, 64 << 10):
        if head[page - 10 : page] in (b"SWAPSPACE2", b"SWAP-SPACE"):
            return FileSystem("swap", str(UUID(bytes=head[1036:1052])), _text(head[1052:1068]), page)
    return None


def _vfat(head: bytes) -> FileSystem | None:
    if head[510:512] != b"\x55\xaa":
        return None
    for mark, at in ((b"FAT32   ", 82), (b"FAT16   ", 54), (b"FAT12   ", 54)):
        if head[at : at + 8] == mark:
            serial, label = head[at - 15 : at - 11], _text(head[at - 11 : at])
            low, high = struct.unpack("<HH", serial)
            return FileSystem("vfat", f"{high:04X}-{low:04X}", "" if label == "NO NAME" else label)
    return None


def _ntfs(head: bytes) -> FileSystem | None:
    if head[3:11] != b"NTFS    ":
        return None
    return FileSystem("ntfs", f"{int.from_bytes(head[72:80], 'little'):016X}")


# Containers first: inside a LUKS or md member old superblocks can still lie about.
_PROBES = (_luks, _raid, _lvm, _xfs, _btrfs, _swap, _vfat, _ntfs, _ext)
