"""Folders that are built once and kept: whole or not there, built by one process at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, made by `build` (which gets an empty folder to fill) if it is not there yet.

    Whoever comes while another process builds waits for it. A build that fails leaves nothing.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _build(folder, build)
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        build(fresh)
        _sync(fresh)
        os.rename(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _sync(folder: Path) -> None:
    """Everything durable before the rename, or a power cut could leave a folder of empty files."""
    for path in (*folder.rglob("*"), folder):
        if path.is_file() or path.is_dir():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
