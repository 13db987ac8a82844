"""Folders and files that are either there whole or not at all, whatever dies.

What is being made or taken away has a name with a dot in front; nobody looks at such names but `sweep`.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.block.crashpoint import reach
from rehost.block.durable import sync_file, sync_folder

_NEW, _GONE = ".new", ".gone"
_FOUND = "lost+found"  # where a file system of its own is mounted


def begin(path: Path) -> Path:
    """An empty folder beside `path` to build it in; what an earlier attempt left there is gone."""
    building = path.with_name(f".{path.name}{_NEW}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    return building


def publish(building: Path, path: Path) -> None:
    """A folder made in `begin` takes its place; what was there before is gone."""
    for entry in building.iterdir():
        sync_file(entry)
    sync_folder(building)
    remove(path)
    building.rename(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """The folder is gone, whether it was there or not; by one rename, so that nobody sees half of it.

    OSError when somebody writes to it meanwhile; the next call finishes what that one left. Others may sweep
    it away meanwhile.
    """
    gone = path.with_name(f".{path.name}{_GONE}")
    _take_away(gone)
    if path.exists():
        path.rename(gone)
        sync_folder(path.parent)
        reach("folder.put_aside")
        _take_away(gone)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other process or thread is in here for the same folder, which need not exist; not reentrant."""
    lock = path.with_name(f".{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(lock)
    try:
        yield
    finally:
        lock.unlink()
        os.close(descriptor)


def _locked(lock: Path) -> int:
    """A lock on the file that has the name *now*: who had it before took the name away."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
            return descriptor
        os.close(descriptor)


def visible(parent: Path) -> list[Path]:
    """The finished folders in a folder, by name; none if it is not there."""
    if not parent.is_dir():
        return []
    folders = (entry for entry in parent.iterdir() if entry.is_dir())
    return sorted(each for each in folders if not each.name.startswith(".") and each.name != _FOUND)


def _take_away(path: Path) -> None:
    def unless_gone(_function: object, _path: str, info: tuple[type, BaseException, object]) -> None:
        if not isinstance(info[1], FileNotFoundError):
            raise info[1]

    shutil.rmtree(path, onerror=unless_gone)


def sweep(parent: Path) -> None:
    """Take away what a removal that died had put aside."""
    for left in parent.glob(f".*{_GONE}"):
        shutil.rmtree(left, ignore_errors=True)


def clear(parent: Path) -> None:
    """The same and what was being made, too: when a process starts, before it makes anything itself."""
    sweep(parent)
    for left in parent.glob(f".*{_NEW}"):
        shutil.rmtree(left, ignore_errors=True)


def allocated(path: Path) -> int:
    """Bytes that a file takes on disk; none if it has just gone."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def free_bytes(path: Path) -> int:
    """What may still be written to the file system of a folder."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
