"""The file systems of a disk at rest, asked for their free blocks although nobody has mounted them."""

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.block.device import Device
from rehost.block.linux import aligned_buffer
from rehost.core.errors import SourceDiskChangedError
from rehost.core.server import Disk, Partition
from rehost.track.libc import mount_read_only, unmount
from rehost.track.mounts import FileSystem, mounted_on, open_on
from rehost.track.used import DiskUse, use_of

# The kernel's driver, and what keeps it from writing to the device: the journal is not replayed. xfs would
# refuse a second file system of the same UUID, which a copy beside its source has. Linux before 5.9 has
# another word for btrfs.
_QUIET = {
    "ext2": ("ext4", ("noload",)),
    "ext3": ("ext4", ("noload",)),
    "ext4": ("ext4", ("noload",)),
    "xfs": ("xfs", ("norecovery,nouuid",)),
    "btrfs": ("btrfs", ("rescue=nologreplay", "nologreplay")),
}


@dataclass(frozen=True, slots=True)
class Rest:
    """What is used on a disk at rest, and what people should know about that."""

    use: DiskUse
    notes: tuple[str, ...]


def look_at(disk: Disk, device: Device) -> Rest:
    """The used blocks of a disk whose file systems are not mounted, or mounted read-only.

    Nothing is written to the disk. Where a file system cannot be asked, its partition counts as used, and a
    note says so. SourceDiskChangedError if the kernel does not show the disk's partitions.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        try:
            systems = _mounted(disk, stack, notes)
            for partition in disk.partitions:
                systems |= _asked(partition, systems, stack, notes)
            return Rest(use_of(disk, device, systems, aligned_buffer(64 << 10)), tuple(notes))
        except FileNotFoundError as error:
            raise SourceDiskChangedError(
                f"the kernel does not show {error.filename}, a partition of {disk.path}",
                "have it read the partition table (partprobe; losetup --partscan), then repeat",
            ) from error


def _mounted(disk: Disk, stack: ExitStack, notes: list[str]) -> dict[FileSystem, int]:
    numbers = {os.stat(path).st_rdev for path in (disk.path, *(part.path for part in disk.partitions))}
    systems = {}
    for system in mounted_on(numbers):
        systems[system] = descriptor = open_on(system)
        stack.callback(os.close, descriptor)
        if not os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
            notes.append(f"{system.points[0]} is mounted for writing: this disk does not stand still")
    return systems


def _asked(
    partition: Partition, known: dict[FileSystem, int], stack: ExitStack, notes: list[str]
) -> dict[FileSystem, int]:
    number = os.stat(partition.path).st_rdev
    if partition.filesystem not in _QUIET or any(number in system.below for system in known):
        return {}
    kind, ways = _QUIET[partition.filesystem]
    try:
        descriptor = stack.enter_context(_descriptor_on(Path(partition.path), kind, ways))
    except OSError as error:
        notes.append(
            f"{partition.path} is compared whole, with what is left in its free blocks: to ask for them it"
            f" should be mounted read-only, and that failed ({error.strerror})"
        )
        return {}
    return {FileSystem(number, kind, (partition.path,), frozenset({number})): descriptor}


@contextmanager
def _descriptor_on(device: Path, kind: str, ways: Sequence[str]) -> Iterator[int]:
    """Of a mount that has no place any more when this begins, and that ends with the descriptor."""
    point = Path(tempfile.mkdtemp(prefix="rehost-"))
    try:
        _mount(device, kind, ways, point)
        try:
            descriptor = os.open(point, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            unmount(point)
    finally:
        point.rmdir()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _mount(device: Path, kind: str, ways: Sequence[str], point: Path) -> None:
    """With the first of these options that the kernel knows."""
    for options in ways:
        try:
            mount_read_only(device, kind, options, point)
            return
        except OSError as error:
            if error.errno != errno.EINVAL or options == ways[-1]:
                raise
