"""Free blocks of a mounted btrfs on one device, by BTRFS_IOC_TREE_SEARCH_V2.

Used is what the extent tree has (data and metadata), moved to the disk by the stripes of the chunk that it
lies in; besides it the beginning, where boot loaders lie, and all superblocks. The search sees trees as they
are in memory, and these lag behind what was allocated until a commit. A freeze commits, and nothing is
allocated in it: there the map is exact, as the final round needs it. The trees of fsync's log are not in the
extent tree; a commit ends them.

What is not understood has no map: more devices, profiles besides single and DUP, features of later kernels.
"""

import errno
import fcntl
import heapq
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from rehost.core.extent import Extent, Extents, subtract
from rehost.core.extents import Gathering

_FS_INFO = 0x8400941F
_FEATURES = 0x80189439
_SEARCH = 0xC0709411
_INFO = struct.Struct("=16x16sI988x")  # UUID, size of a node
_FLAGS = struct.Struct("=8x8sQ")  # ..., incompatible features
_KEY = struct.Struct("=QQQQQQQIIII32xQ")  # tree, from, to; number of items; room for them
_COUNT = struct.Struct("=64xI")  # how many were found, in a key that came back
_HEAD = struct.Struct("=8xQQII")  # object, offset, type, length of an item
_DEVICE = struct.Struct("=QQ")  # id, bytes
_CHUNK = struct.Struct("=Q16xQ12xHH")  # length, profile, stripes, sub-stripes
_STRIPE = struct.Struct("=QQ16x")  # device's id, place on it
_BATCH = 1 << 20  # bytes of items in one call
_MOST = 2**64 - 1

_CHUNK_TREE, _EXTENT_TREE = 3, 2
_DEVICES, _CHUNKS = 1, 256  # objects of the chunk tree
_EXTENT, _METADATA, _DEVICE_ITEM, _CHUNK_ITEM = 168, 169, 216, 228  # types of items
_PROFILES = 0x7F8
_UNDERSTOOD_PROFILES = (0, 0x20)  # single, DUP
# All features up to RAID1C34, and simple quotas. Not zones, the extent tree's second version, stripe trees.
_UNDERSTOOD = 0xFFF | 1 << 16
_RESERVED = 1 << 20  # bytes at the beginning that btrfs does not allocate
_SUPERBLOCKS = (64 << 10, 64 << 20, 256 << 30)
_SUPERBLOCK = 4096


_Key = tuple[int, int, int]  # object, type, offset: the order of items
_Item = tuple[_Key, memoryview]  # its key and its content; there may be millions


@dataclass(frozen=True, slots=True)
class _Chunk:
    logical: Extent
    places: tuple[int, ...]  # of its copies, bytes from the device's beginning


class _NotUnderstoodError(Exception):
    pass


def free_extents(fd: int, device: int, used: Gathering | None = None) -> Extents | None:
    """What is free on block device number `device`, in bytes from its beginning.

    `fd` is open on anything of the mounted file system; `used` as for `fsmap.free_extents`. None if it is
    not one that is understood, or not on this device alone; OSError for anything else that goes wrong.
    """
    try:
        return _free(fd, device, used or Gathering())
    except _NotUnderstoodError:
        return None
    except OSError as error:
        if error.errno == errno.ENOTTY:  # no btrfs, or one before 3.16
            return None
        raise


def devices_of(fd: int, sys: Path = Path("/sys")) -> frozenset[int]:
    """The numbers of the devices of the btrfs that `fd` is on; OSError (ENOTTY) if it is on another kind."""
    uuid, _ = _INFO.unpack(fcntl.ioctl(fd, _FS_INFO, bytes(_INFO.size)))
    entries = (sys / "fs/btrfs" / str(UUID(bytes=uuid)) / "devices").glob("*/dev")
    numbers = (entry.read_text().split(":") for entry in entries)
    return frozenset(os.makedev(int(major), int(minor)) for major, minor in numbers)


def _free(fd: int, device: int, used: Gathering) -> Extents:
    if devices_of(fd) != {device} or _incompatible(fd) & ~_UNDERSTOOD:
        raise _NotUnderstoodError
    _, node = _INFO.unpack(fcntl.ioctl(fd, _FS_INFO, bytes(_INFO.size)))
    own, size = _device(fd)
    reserved = [Extent(0, _RESERVED), *(Extent(at, at + _SUPERBLOCK) for at in _SUPERBLOCKS)]
    for extent in heapq.merge(sorted(reserved), _on_disk(fd, own, node)):
        used.add(extent.start, extent.end)
    return subtract(Extent(0, size), used.extents())


def _on_disk(fd: int, device: int, node: int) -> Iterator[Extent]:
    """What is allocated, in the order of the disk; chunks are ordered by logical places."""
    placed = ((place, chunk) for chunk in _chunks(fd, device) for place in chunk.places)
    for place, chunk in sorted(placed, key=lambda one: one[0]):
        moved = place - chunk.logical.start
        for extent in _allocated(fd, chunk.logical, node):
            yield Extent(extent.start + moved, extent.end + moved)


def _incompatible(fd: int) -> int:
    _, flags = _FLAGS.unpack(fcntl.ioctl(fd, _FEATURES, bytes(_FLAGS.size)))
    return int(flags)


def _device(fd: int) -> tuple[int, int]:
    """The id of the only device, and its bytes that belong to the file system."""
    items = _range(fd, _CHUNK_TREE, (_DEVICES, _DEVICE_ITEM, 0), (_DEVICES, _DEVICE_ITEM, _MOST))
    found = [_DEVICE.unpack_from(content) for _, content in items]
    if len(found) != 1:
        raise _NotUnderstoodError  # a seed device, or one that is missing
    return found[0]


def _chunks(fd: int, device: int) -> Iterator[_Chunk]:
    items = _range(fd, _CHUNK_TREE, (_CHUNKS, _CHUNK_ITEM, 0), (_CHUNKS, _CHUNK_ITEM, _MOST))
    for (_, _, start), content in items:
        length, profile, count, _ = _CHUNK.unpack_from(content)
        stripes = [_STRIPE.unpack_from(content, _CHUNK.size + i * _STRIPE.size) for i in range(count)]
        if profile & _PROFILES not in _UNDERSTOOD_PROFILES or any(own != device for own, _ in stripes):
            raise _NotUnderstoodError
        yield _Chunk(Extent(start, start + length), tuple(place for _, place in stripes))


def _allocated(fd: int, chunk: Extent, node: int) -> Iterator[Extent]:
    """What of a chunk is allocated, by logical places; neighbours joined."""
    start = end = chunk.start
    for (place, kind, offset), _ in _range(
        fd, _EXTENT_TREE, (chunk.start, 0, 0), (chunk.end - 1, 255, _MOST)
    ):
        if kind not in (_EXTENT, _METADATA):
            continue
        if place != end:
            if start < end:
                yield Extent(start, end)
            start = place
        end = place + (offset if kind == _EXTENT else node)
    if start < end:
        yield Extent(start, end)


def _range(fd: int, tree: int, first: _Key, last: _Key) -> Iterator[_Item]:
    """The items of a tree whose keys lie in this range, ends included, in order."""
    while first <= last:
        items = _search(fd, tree, first, last)
        if not items:
            return
        yield from items
        first = _after(items[-1][0])


def _search(fd: int, tree: int, first: _Key, last: _Key) -> list[_Item]:
    """As many of them as one call returns."""
    buffer = bytearray(_KEY.size + _BATCH)
    objects, kinds, offsets = zip(first, last, strict=True)
    _KEY.pack_into(buffer, 0, tree, *objects, *offsets, 0, _MOST, *kinds, 2**32 - 1, 0, _BATCH)
    fcntl.ioctl(fd, _SEARCH, buffer)
    (count,) = _COUNT.unpack_from(buffer)
    view, position, items = memoryview(buffer), _KEY.size, []
    for _ in range(count):
        place, offset, kind, length = _HEAD.unpack_from(view, position)
        position += _HEAD.size + length
        items.append(((place, kind, offset), view[position - length : position]))
    return items


def _after(key: _Key) -> _Key:
    place, kind, offset = key
    if offset < _MOST:
        return place, kind, offset + 1
    return (place, kind + 1, 0) if kind < 255 else (place + 1, 0, 0)
