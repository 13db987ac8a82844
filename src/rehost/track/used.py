"""Which bytes of a disk have to be copied (all but what is proven free), and how each partition is read."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rehost.core.errors import SourceReadError
from rehost.core.extent import Extent, Extents, intersect, joined, shifted, subtract, union
from rehost.core.extents import MOST, Gathering
from rehost.core.server import Disk, Partition
from rehost.track import btrfsmap, fsmap
from rehost.track.mounts import FileSystem

MAPS = {"btrfs": btrfsmap.free_extents} | dict.fromkeys(("ext2", "ext3", "ext4", "xfs"), fsmap.free_extents)
_NOT_TOLD = "read whole: the file system does not tell its free blocks"
_NOTHING = joined(())
_PAGE_SIZES = (4 << 10, 8 << 10, 16 << 10, 64 << 10)
_SIGNATURE = b"SWAPSPACE2"  # at the end of the first page; a hibernated system has another one there


class Readable(Protocol):
    """What of a block device is needed here."""

    def read_into(self, offset: int, buffer: memoryview) -> None: ...


@dataclass(frozen=True, slots=True)
class PartitionUse:
    partition: Partition
    systems: tuple[FileSystem, ...]  # what is mounted from it, itself or through LVM, md and the like
    free: Extents  # bytes from the disk's beginning
    reading: str  # how it is read and why, for people
    held: bool = False  # in use by something that is no mounted file system known here, so it cannot freeze
    gap: int = 0  # bytes: free extents up to this length count as used, or there would be too many


@dataclass(frozen=True, slots=True)
class DiskUse:
    used: Extents  # bytes from the disk's beginning
    partitions: tuple[PartitionUse, ...]
    gap: int = 0  # the largest of its partitions'


@dataclass(frozen=True, slots=True)
class Bound:
    """How many free extents a partition's map may have, and the gap to begin with (see `Gathering`): that
    of an earlier map of the disk, so that the two differ only where use did."""

    most: int = MOST
    gap: int = 0


def use_of(
    disk: Disk,
    device: Readable,
    systems: Mapping[FileSystem, int],
    first_page: memoryview,
    bound: Bound = Bound(),
) -> DiskUse:
    """The present use of a disk.

    `systems` are the mounted file systems with a descriptor on each; `first_page` is an aligned buffer of
    64 KiB, lent. The partition table, gaps and whatever is not understood count as used. FileNotFoundError
    if a partition is gone, SourceReadError if a file system does not answer.
    """
    partitions = tuple(_use(partition, device, systems, first_page, bound) for partition in disk.partitions)
    free = union(partition.free for partition in partitions)
    gap = max((use.gap for use in partitions), default=0)
    return DiskUse(subtract(Extent(0, disk.size), free), partitions, gap)


def swap_header(page: memoryview) -> int:
    """The length of the header that these first 64 KiB of a swap area begin with; 0 if there is none."""
    for size in _PAGE_SIZES:
        if page[size - len(_SIGNATURE) : size] == _SIGNATURE:
            return size
    return 0


def _use(
    partition: Partition,
    device: Readable,
    systems: Mapping[FileSystem, int],
    first_page: memoryview,
    bound: Bound,
) -> PartitionUse:
    number = os.stat(partition.path).st_rdev
    on_it = tuple(system for system in systems if number in system.below)
    direct = next((system for system in on_it if system.device == number), None)
    if direct is not None and direct.kind in MAPS:
        return _mapped(partition, direct, systems[direct], number, bound)
    if partition.filesystem == "swap" and not on_it:
        return _swap(partition, device, first_page)
    return PartitionUse(partition, on_it, _NOTHING, "read whole", held=not on_it and _held(partition.path))


def _held(path: str) -> bool:
    """Whether someone has the device for itself: LVM, md, ZFS, a mount in another namespace."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def _mapped(partition: Partition, system: FileSystem, fd: int, number: int, bound: Bound) -> PartitionUse:
    gathering = Gathering(bound.most, bound.gap)
    try:
        free = MAPS[system.kind](fd, number, gathering)
    except OSError as error:
        raise SourceReadError(
            f"{system.points[0]} does not give its map of used blocks: {error.strerror}",
            "check the file system (dmesg, fsck), then start the job again",
        ) from error
    if free is None:
        return PartitionUse(partition, (system,), _NOTHING, _NOT_TOLD)
    # A file system larger than its partition is broken; its neighbour must not suffer.
    inside = shifted(intersect(free, Extent(0, partition.size)), partition.start)
    return PartitionUse(partition, (system,), inside, "used blocks only", gap=gathering.gap)


def _swap(partition: Partition, device: Readable, first_page: memoryview) -> PartitionUse:
    room = min(len(first_page), partition.size)
    device.read_into(partition.start, first_page[:room])
    header = swap_header(first_page[:room])
    if not header or header >= partition.size:
        return PartitionUse(partition, (), _NOTHING, "read whole: no header of a swap area was found")
    body = Extent(partition.start + header, partition.end)
    return PartitionUse(partition, (), joined([body]), "swap-header")
