"""Where a tracker is kept while no process holds it: descriptors under bpffs, and what they belong to.

One folder of bpffs and one file per disk. The file is in /run: it is never on a disk that is frozen, and is
gone after a reboot as the pins are.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rehost.core.errors import TrackingError
from rehost.track.bpf import system
from rehost.track.disk import DiskIdentity
from rehost.track.libc import mount

_BPFFS = Path("/sys/fs/bpf")
_PINS = _BPFFS / "rehost"
_RUN = Path("/run/rehost/tracking")
_MAGIC = "bpf"


@dataclass(frozen=True, slots=True)
class Token:
    """What has to be the same for nothing to have been missed in between."""

    disk: DiskIdentity
    cell: int  # bytes that a cell tells of
    rung: str
    maps: tuple[int, ...]  # the kernel's numbers of them
    links: tuple[int, ...]
    unseen: tuple[tuple[int, int], ...]  # see `audit.Bounds`: one for each completion program
    passthrough: int  # commands past the block layer that are accounted for
    reliable: int  # the epoch from which on no mark is missing, as far as the audit knows


class Shelf:
    """One disk's place. Whoever opens it has it alone, until `close`; TrackingError while another has."""

    def __init__(self, number: int) -> None:
        name = f"{os.major(number)}-{os.minor(number)}"
        self.folder = _PINS / name
        self.file = _RUN / f"{name}.json"
        _RUN.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(_RUN / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise TrackingError(f"another process tracks the disk {name}") from error

    def token(self) -> Token | None:
        """None if there is none, or one of another version."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=Token)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def put(self, descriptors: Mapping[str, int]) -> None:
        """Pin all of them; OSError where bpffs is not to be had."""
        _mount_bpffs()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, descriptor in descriptors.items():
            system.pin(descriptor, str(self.folder / name))

    def write(self, token: Token) -> None:
        """Last, when all is pinned: there is a token for whole trackers only."""
        temporary = self.file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(token))
        temporary.replace(self.file)

    def get(self, name: str) -> int:
        """A descriptor; FileNotFoundError if there is no such pin."""
        return system.pinned(str(self.folder / name))

    def clear(self) -> None:
        """Whatever is kept here ends, unless a process holds a descriptor of it."""
        self.file.unlink(missing_ok=True)
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                entry.unlink()
            self.folder.rmdir()

    def close(self) -> None:
        os.close(self._lock)


def numbers_kept() -> list[int]:
    """The disks that trackers are kept for, whole ones or not."""
    folders = _PINS.iterdir() if _PINS.is_dir() else ()
    names = {folder.name for folder in folders} | {file.stem for file in _RUN.glob("*.json")}
    return sorted(os.makedev(*map(int, name.split("-"))) for name in names)


def _mount_bpffs() -> None:
    if not _BPFFS.is_dir():
        raise OSError(f"the kernel has no {_BPFFS}")
    with open("/proc/self/mounts") as mounts:
        if not any(line.split()[1:3] == [str(_BPFFS), _MAGIC] for line in mounts):
            mount(_MAGIC, _BPFFS)
