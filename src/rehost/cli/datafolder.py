"""The control plane's data folder: made on the first start, served by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rehost.block.durable import make_folder, sweep, sync_folder, write_file
from rehost.cli import secretskey, storage
from rehost.cli.storage import Storage
from rehost.compute.local import LocalDriver, folders
from rehost.core.errors import DataFolderError
from rehost.core.ids import Kind
from rehost.store.database import new_id
from rehost.store.store import DATABASE_FILE, Store

DEFAULT = Path("/var/lib/rehost")
ENGINE_FILE = "dbos.db"
BACKUP_FILE = "backup.json"  # says that the folder is a backup, or was brought back and is not ready yet
HOST_FILE = "host"
URL_FILE = "database"  # the URL of the database, where it is not in the folder
_FOLDERS = ("keys", "replicas", "images", "cache", "logs")


@contextmanager
def served(data: Path, volumes: Path | None = None) -> Iterator[Storage]:
    """Make the folder if need be and hold it alone; DataFolderError when another process serves it.

    `volumes`: where replicas and images are to lie; None: where they were, at first in the folder.
    """
    try:
        for name in ("", *_FOLDERS):
            make_folder(data / name, 0o700)
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
        found = storage.prepare(data, volumes)
        _clear(data)
        yield found


def is_backup(data: Path) -> bool:
    return (data / BACKUP_FILE).exists()


def mark_backup(data: Path, content: str = "{}") -> None:
    write_file(data / BACKUP_FILE, content.encode())


def check_servable(data: Path) -> None:
    """DataFolderError for a backup: served as it is, what happened since could happen twice."""
    if is_backup(data):
        raise DataFolderError(f"{data} is a backup", f"run first: rehost restore --data {data}")


def records(data: Path, database: str = "") -> Path | str:
    """Where the folder's records are: in a database that is asked for, else where they were when it was
    served last, else in the folder itself."""
    kept = data / URL_FILE
    if not database and kept.exists():
        return kept.read_text().strip()
    return database or data


def engine_records(data: Path, records: Path | str) -> Path | str:
    """Where the workflow engine's own records are: beside the others."""
    return data / ENGINE_FILE if isinstance(records, Path) else records


def prepare(data: Path, records: Path | str) -> None:
    """What has to be there before the records are opened for the first time, for their owner only.

    The folder knows its database from then on, so that no later start begins with an empty one by mistake.
    """
    if isinstance(records, str):
        write_file(data / URL_FILE, records.encode(), 0o600)  # it may have a password
        return
    for name in (DATABASE_FILE, ENGINE_FILE):
        os.close(os.open(data / name, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's other files follow it
    sync_folder(data)


def host_id(data: Path) -> str:
    """Of the host that this folder makes; made at its first start."""
    path = data / HOST_FILE
    if not path.exists():
        write_file(path, new_id(Kind.HOST).encode())
    return path.read_text().strip()


def _clear(data: Path) -> None:
    """What a process that was killed left half made or half removed. Not in shared folders: others
    may be at it."""
    sweep(data)
    for name in ("images", "replicas", "replicas/*/layers"):
        for parent in data.glob(name):
            folders.clear(parent)


def driver_on(data: Path) -> LocalDriver:
    """The images of a folder; DataFolderError if there can be none."""
    volumes = storage.find(data)
    if not (volumes / "images").is_dir():
        raise DataFolderError(f"{data} is no data folder with images", "correct --data")
    return LocalDriver(data, volumes)


def open_store(data: Path) -> Store:
    """The records of a folder that was served before; commands use it beside a running `rehost serve`."""
    if not secretskey.present(data / "keys"):
        raise _no_data_folder(data)
    return open_records(data)


def open_records(data: Path) -> Store:
    """The same where the key of the secrets may not be at hand: the secrets are not looked at."""
    where = records(data)
    if not (data / "keys").is_dir() or (isinstance(where, Path) and not (where / DATABASE_FILE).exists()):
        raise _no_data_folder(data)
    return Store.open(where, partial(secretskey.load, data / "keys"))


def _no_data_folder(data: Path) -> DataFolderError:
    return DataFolderError(
        f"{data} is no data folder of a control plane",
        "start it once: rehost serve --data, or correct --data",
    )
