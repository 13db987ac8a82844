"""Compares disks that stand still with the digests of a run, on the source or wherever they are attached."""

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rehost.agent.survey import disks
from rehost.agent.survey.host import Host
from rehost.agent.survey.parse import superblock
from rehost.agent.verify.comparing import Told, compare
from rehost.block.device import Device
from rehost.block.digestfile import DigestedDisk
from rehost.block.digests import ChunkDigests
from rehost.block.file import open_source
from rehost.core.errors import InvalidValueError, NotFoundError
from rehost.core.extent import Extent, intersect
from rehost.core.server import Disk, Partition, device_name
from rehost.core.verification import Comparison
from rehost.track import atrest


@dataclass(frozen=True, slots=True)
class Verified:
    """One disk, and how it compares."""

    path: Path
    disk: Disk | None  # None: a file, or nobody knows any more
    comparison: Comparison
    notes: tuple[str, ...] = ()


def verify(
    digested: DigestedDisk, digests: ChunkDigests, path: Path, copied: float | None, told: Told
) -> Verified:
    """Compare a disk, or a file that holds one, with the digests of a run that ended its copy at `copied`.

    Of a disk, blocks that its file systems call free count as zeroes. A file is compared whole: it cannot be
    asked. Nothing is written.
    """
    block = _is_block_device(path)
    device = open_source(path, direct=block)
    try:
        if not block:
            used = [Extent(0, device.size)] if device.size else []
            return Verified(path, digested.disk, compare(digested.shape, device, used, digests, told))
        (found,) = disks.collect(Host(), [str(path.resolve())])
        disk = replace(found, index=digested.shape.volume)
        rest = atrest.look_at(disk, device)
        comparison = compare(digested.shape, device, rest.use.used, digests, told)
        later = _written_later(disk, device, comparison, copied)
        return Verified(path, disk, comparison, (*rest.notes, *later))
    finally:
        device.close()


def _is_block_device(path: Path) -> bool:
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError as error:
        raise NotFoundError(
            f"{path} cannot be opened: {error.strerror}", "correct the name of the disk"
        ) from error


def _written_later(disk: Disk, device: Device, comparison: Comparison, copied: float | None) -> Iterator[str]:
    """Which differences have their reason in the disk's own words: file systems written after the copy."""
    for partition in disk.partitions:
        window = Extent(partition.start, partition.end)
        if copied is None or not intersect(comparison.differing, window):
            continue
        content = superblock.detect(_reader(device, partition))
        if content is not None and content.written is not None and content.written >= int(copied):
            name, written = f"{device_name(disk, partition)} {partition.path}", _time(content.written)
            yield (
                f"{name} was copied at {_time(copied)} and last written at {written}: it differs at least in"
                " what has been written since, and an unmount writes too"
            )


def _reader(device: Device, partition: Partition) -> superblock.Read:
    def read(offset: int, length: int) -> bytes:
        content = bytearray(max(0, min(length, partition.size - offset)))
        device.read_into(partition.start + offset, memoryview(content))
        return bytes(content)

    return read


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_named(words: Iterable[str]) -> dict[int, Path]:
    """`0=/dev/sda` as people write it; a path alone is the system disk's."""
    named: dict[int, Path] = {}
    for word in words:
        number, found, path = word.partition("=") if not word.startswith("/") else ("0", "=", word)
        if not found or not number.isdecimal() or not path:
            raise InvalidValueError(f"{word!r} does not name a disk", "write it like 0=/dev/sda")
        if int(number) in named:
            raise InvalidValueError(f"disk {number} is named twice", "name each disk once")
        named[int(number)] = Path(path)
    return named


def chosen(digested: Sequence[DigestedDisk], named: Mapping[int, Path]) -> dict[int, Path]:
    """What to compare with each disk of the run: what people name, or else this server's own disks."""
    known = {disk.shape.volume for disk in digested}
    for number in named:
        if number not in known:
            there = ", ".join(map(str, sorted(known)))
            raise InvalidValueError(f"the run has no disk {number}", f"its disks are {there}")
    return dict(named) or recognized(digested, disks.collect(Host()))


def recognized(digested: Sequence[DigestedDisk], present: Sequence[Disk]) -> dict[int, Path]:
    """The disks of this server that are the run's: of the same serial number, or else name, and size."""
    found = {}
    for each in digested:
        same = [disk for disk in present if each.disk is not None and _is_same(disk, each.disk)]
        if len(same) != 1:
            number = each.shape.volume
            raise NotFoundError(
                f"which disk of this server is disk {number} of the run cannot be told",
                f"name it: --disk {number}=/dev/NAME",
            )
        found[each.shape.volume] = Path(same[0].path)
    return found


def _is_same(disk: Disk, copied: Disk) -> bool:
    if copied.serial:
        return (disk.serial, disk.size) == (copied.serial, copied.size)
    return (disk.path, disk.size) == (copied.path, copied.size)
