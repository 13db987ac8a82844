"""Which file systems are mounted, on which block devices they lie, and a descriptor on each."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehost.core.errors import SourceDiskChangedError, SourceReadError
from rehost.track.btrfsmap import devices_of
from rehost.track.libc import syncfs

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MountLine:
    """A line of mountinfo, as far as it matters here."""

    device: int  # of the file system; anonymous (major 0) for btrfs and the like
    point: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A mounted file system, once, however often it is mounted."""

    device: int  # the block device that it lies on directly; the first of several
    kind: str
    points: tuple[str, ...]  # where it is mounted, shortest path first
    below: frozenset[int]  # the partitions and disks at the bottom (under LVM, md, several btrfs devices)

    @property
    def depth(self) -> int:
        """How deep its shallowest mount point lies; / is 0."""
        return len([part for part in self.points[0].split("/") if part])


def parse_mountinfo(text: str) -> list[MountLine]:
    """The lines of /proc/self/mountinfo; see proc_pid_mountinfo(5)."""
    lines = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, source) = before.split(" "), after.split(" ")[:2]
        major, minor = map(int, fields[2].split(":"))
        lines.append(MountLine(os.makedev(major, minor), _plain(fields[4]), kind, _plain(source)))
    return lines


def mounted_on(
    devices: Collection[int], mountinfo: str | None = None, sys: Path = Path("/sys")
) -> list[FileSystem]:
    """The file systems that lie on any of these partitions or disks (device numbers), deepest mount first."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    by_device: dict[int, list[MountLine]] = {}
    for line in parse_mountinfo(text):
        by_device.setdefault(line.device, []).append(line)
    found = [_file_system(lines, sys) for lines in by_device.values()]
    wanted = set(devices)
    return sorted(
        (system for system in found if system is not None and system.below & wanted),
        key=lambda system: (-system.depth, system.points),
    )


def open_on(system: FileSystem) -> int:
    """A descriptor on the file system itself, whatever is mounted over one of its mount points."""
    for point in system.points:
        try:
            fd = os.open(point, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue  # another mount point may still be reachable; none at all is an error below
        if _is_on(fd, system):
            return fd
        os.close(fd)
    raise SourceDiskChangedError(
        f"the file system mounted on {system.points[0]} cannot be opened",
        "it was unmounted or is hidden by another mount: start the job again, with all file systems in place",
    )


def _is_on(fd: int, system: FileSystem) -> bool:
    """Files of btrfs have device numbers of their own."""
    if system.kind != "btrfs":
        return os.fstat(fd).st_dev == system.device
    try:
        return system.device in devices_of(fd)
    except OSError:  # something else is mounted there
        return False


def sync(systems: Mapping[FileSystem, int]) -> None:
    """Write out what file systems hold back; SourceReadError if one cannot."""
    for system, descriptor in systems.items():
        try:
            syncfs(descriptor)
        except OSError as error:
            raise SourceReadError(
                f"{system.points[0]} cannot write what it holds back: {error.strerror}",
                "check the disk and the file system (dmesg, fsck), then start the job again",
            ) from error


def bottoms(device: int, sys: Path = Path("/sys")) -> frozenset[int]:
    """The devices at the bottom of a stack of block devices; a plain partition or disk is its own bottom."""
    slaves = sys / "dev/block" / _colon(device) / "slaves"
    below = [_number((slave / "dev").read_text()) for slave in slaves.iterdir()] if slaves.is_dir() else []
    return frozenset().union(*(bottoms(slave, sys) for slave in below)) if below else frozenset({device})


def _file_system(lines: list[MountLine], sys: Path) -> FileSystem | None:
    devices = _devices(lines[0], sys)
    if not devices:
        return None
    points = tuple(sorted({line.point for line in lines}, key=lambda point: (len(point), point)))
    return FileSystem(
        devices[0],
        lines[0].kind,
        points,
        frozenset().union(*(bottoms(device, sys) for device in devices)),
    )


def _devices(line: MountLine, sys: Path) -> list[int]:
    """The block devices of a mount; none for proc, tmpfs, network mounts and their like."""
    if os.major(line.device) != 0:
        return [line.device]
    if not line.source.startswith("/dev/") or not Path(line.source).is_block_device():
        return []
    device = os.stat(line.source).st_rdev
    return [device, *_btrfs_companions(device, sys)] if line.kind == "btrfs" else [device]


def _btrfs_companions(device: int, sys: Path) -> Iterable[int]:
    """The other devices of a btrfs that lies on several."""
    for folder in (sys / "fs/btrfs").glob("*/devices"):
        members = [_number((entry / "dev").read_text()) for entry in folder.iterdir()]
        if device in members:
            return [member for member in members if member != device]
    return []


def _plain(text: str) -> str:
    """mountinfo writes blanks and backslashes in octal."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _number(text: str) -> int:
    major, minor = map(int, text.strip().split(":"))
    return os.makedev(major, minor)


def _colon(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"
