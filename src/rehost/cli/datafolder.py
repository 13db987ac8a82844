"""The control plane's data folder: made on the first start, served by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.block.durable import make_folder, sweep, sync_folder
from rehost.compute.local import LocalDriver, folders
from rehost.core.errors import DataFolderError
from rehost.store.store import DATABASE_FILE, Store

DEFAULT = Path("/var/lib/rehost")
ENGINE_FILE = "dbos.db"
_FOLDERS = ("keys", "replicas", "images", "cache", "logs")


@contextmanager
def served(data: Path) -> Iterator[None]:
    """Make the folder if need be and hold it alone; DataFolderError when another process serves it."""
    try:
        for name in ("", *_FOLDERS):
            make_folder(data / name, 0o700)
        for name in (DATABASE_FILE, ENGINE_FILE):
            os.close(os.open(data / name, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's other files follow it
        sync_folder(data)
        lock = (data / "serve.lock").open("a+")
    except OSError as error:
        raise DataFolderError(
            f"the data folder {data} cannot be used: {error.strerror}", "choose another one with --data"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataFolderError(
                f"the data folder {data} is served by the process {lock.read().strip() or 'of another'}",
                "stop that one first, or choose another folder with --data",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _clear(data)
        yield


def _clear(data: Path) -> None:
    """What a process that was killed left half made or half removed."""
    sweep(data)
    for name in ("images", "replicas", "replicas/*/layers"):
        for parent in data.glob(name):
            folders.clear(parent)


def driver_on(data: Path) -> LocalDriver:
    """The images of a folder; DataFolderError if there can be none."""
    if not (data / "images").is_dir():
        raise DataFolderError(f"{data} is no data folder with images", "correct --data")
    return LocalDriver(data)


def open_store(data: Path) -> Store:
    """The records of a folder that was served before; commands use it beside a running `rehost serve`."""
    key = data / "keys" / "secrets.key"
    if not key.exists() or not (data / DATABASE_FILE).exists():
        raise DataFolderError(
            f"{data} is no data folder of a control plane",
            "start it once: rehost serve --data, or correct --data",
        )
    return Store.open(data, key.read_bytes())
