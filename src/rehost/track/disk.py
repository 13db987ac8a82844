"""What tells one whole disk from another that has its number later."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rehost.core.errors import TrackingError

_BOOT = "proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class DiskIdentity:
    boot: str  # the kernel's boot: nothing survives another one
    number: int
    path: str  # /dev/sda
    size: int  # bytes
    sequence: str  # the kernel's number of the disk and of its media (since 5.15; before empty)
    inode: int  # of its folder in sysfs: another one when the disk went away and came back


def identity_of(number: int, root: Path = Path("/")) -> DiskIdentity:
    """TrackingError for what is no whole disk, or one that is written in other ways than by sectors."""
    folder = root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}"
    try:
        if (folder / "partition").exists():
            raise TrackingError(f"{os.major(number)}:{os.minor(number)} is a partition, not a disk")
        name = _names(folder)["DEVNAME"]
        zoned = _text(folder / "queue/zoned")
        if zoned not in ("", "none"):
            raise TrackingError(f"/dev/{name} is a zoned disk, and commands for zones are not tracked")
        return DiskIdentity(
            (root / _BOOT).read_text().strip(),
            number,
            f"/dev/{name}",
            int((folder / "size").read_text()) * 512,
            _text(folder / "diskseq"),
            folder.stat().st_ino,
        )
    except FileNotFoundError as error:
        raise TrackingError(f"there is no disk {os.major(number)}:{os.minor(number)} any more") from error


def medium_of(number: int, root: Path = Path("/")) -> str:
    """What is another text when another disk, or medium, has the device number: the kernel's sequence number,
    before Linux 5.15 its folder in sysfs. Empty: there is no such disk."""
    folder = root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}"
    with suppress(FileNotFoundError):
        return _text(folder / "diskseq") or f"sysfs {folder.stat().st_ino}"
    return ""


def _names(folder: Path) -> dict[str, str]:
    lines = (folder / "uevent").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _text(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""
