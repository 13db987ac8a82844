"""Small files that are either the old or the new one after a crash, never a part."""

import os
from pathlib import Path

from rehost.block.crashpoint import reach


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file's content; durable when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    reach("file.written")
    temporary.replace(path)
    sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what processes that died in `write_file` left in a folder and below it.

    For a process that starts: its own number may be that of one that died.
    """
    for left in folder.rglob(".*.new"):
        writer = left.suffixes[-2:-1]
        if left.is_file() and writer and _is_over(writer[0][1:]):
            left.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """The same of one file, which nobody else writes."""
    for left in path.parent.glob(f".{path.name}.*.new"):
        left.unlink(missing_ok=True)


def _is_over(pid: str) -> bool:
    return pid.isdecimal() and (int(pid) == os.getpid() or not Path("/proc", pid).exists())


def remove_file(path: Path) -> None:
    """Remove a file that may be gone already; durable when this returns."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make a file's content durable, whoever wrote it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing; durable when this returns, and repeatable."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(mode, parents=True, exist_ok=True)
    for made in (*reversed(missing), path):
        sync_folder(made.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
