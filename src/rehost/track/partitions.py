"""The partitions of a disk as the kernel has them now."""

import os
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512  # sysfs counts in these whatever the disk's sectors are


@dataclass(frozen=True, slots=True)
class Place:
    number: int  # device number
    start: int  # bytes from the disk's beginning
    size: int  # bytes


def places_on(disk: int, sys: Path = Path("/sys")) -> frozenset[Place]:
    """Where the partitions of disk number `disk` lie; none on a disk without, or one that is a file."""
    folder = sys / "dev/block" / f"{os.major(disk)}:{os.minor(disk)}"
    return frozenset(_place(entry.parent) for entry in folder.glob("*/partition"))


def _place(folder: Path) -> Place:
    major, minor = map(int, (folder / "dev").read_text().split(":"))
    start, size = (int((folder / name).read_text()) * _SECTOR for name in ("start", "size"))
    return Place(os.makedev(major, minor), start, size)
