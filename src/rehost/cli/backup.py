"""`rehost backup` and `rehost restore`: a data folder, put aside while it is served and brought back."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rehost import __version__
from rehost.api import limits
from rehost.block.crashpoint import reach
from rehost.block.durable import make_folder, sync_file, write_file
from rehost.cli import datafolder, firstkey, restoration, storage
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_json
from rehost.compute.local import LocalDriver, copying, folders
from rehost.core.errors import DataFolderError
from rehost.store.store import DATABASE_FILE

_FILES = (datafolder.URL_FILE, datafolder.HOST_FILE, limits.FILE, firstkey.FILE)


@dataclass(frozen=True, slots=True)
class BackedUp:
    folder: str
    records: str  # the file; empty: they are in a database of their own
    jobs: tuple[str, ...]  # whose replicas are in it
    images: tuple[str, ...]


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for it.")],
    data: Data = DATA,
    volumes: Annotated[
        bool, typer.Option(help="With replicas and images; else only records, keys and settings.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Copy the data folder as it is now, beside a running `rehost serve`.

    Replicas as of each job's last finished run, and the images on them. Records in PostgreSQL are not in it:
    take them with pg_dump, before. The folder is as secret as the data folder: it has the keys.
    """
    with errors_shown(as_json):
        made = back_up(data.resolve(), folder.resolve(), volumes, lambda job: note(f"job {job}"))
    if as_json:
        print_json(made)
        return
    note(f"{made.folder}: {len(made.jobs)} replicas, {len(made.images)} images")
    if not made.records:
        note("the records are in the database: back it up with pg_dump")


def back_up(data: Path, target: Path, volumes: bool, say: Callable[[str], None]) -> BackedUp:
    """The folder is there whole when this returns, or not at all. DataFolderError, VolumeFullError."""
    datafolder.open_records(data).close()  # says what is wrong with it
    if target.exists():
        raise DataFolderError(f"{target} exists", "give the name of a new folder for each backup")
    building = folders.begin(target)
    building.chmod(0o700)
    copying.copy_folder(data / "keys", building / "keys")
    _copy_present(data, building, _FILES if volumes else (*_FILES, storage.FILE))
    records = datafolder.records(data)
    if isinstance(records, Path):
        _copy_records(records / DATABASE_FILE, building / DATABASE_FILE)
    jobs, images = _copy_volumes(data, building, say) if volumes else ((), ())
    datafolder.mark_backup(building, json.dumps({"made": time.time(), "version": __version__}))
    folders.publish(building, target)
    return BackedUp(str(target), DATABASE_FILE if isinstance(records, Path) else "", jobs, images)


def _copy_present(data: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        if (data / name).exists():
            write_file(target / name, (data / name).read_bytes(), 0o600)


def _copy_records(source: Path, target: Path) -> None:
    """One moment of them, whoever writes meanwhile."""
    with closing(sqlite3.connect(source)) as present, closing(sqlite3.connect(target)) as copy:
        present.backup(copy)
    target.chmod(0o600)
    sync_file(target)


def _copy_volumes(
    data: Path, target: Path, say: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """After the records: what these know of is in the copy."""
    driver, jobs, images = LocalDriver(data, storage.find(data)), list[str](), list[str]()
    for name in ("replicas", "images"):
        make_folder(target / name)
    for job in driver.generations():
        say(job)
        images += driver.back_up(job, target)
        if (target / "replicas" / job).exists():
            jobs.append(job)
    return tuple(jobs), tuple(images)


def restore(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A backup; without one the data folder itself, or its database, was brought back by other"
            " means.",
            show_default=False,
        ),
    ] = None,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Bring a backup back, or make true what was brought back from a snapshot or by pg_restore.

    Before `rehost serve` is started. Runs that were going on begin again; tickets of the time that is lost
    are void; what the records and the volumes do not agree on is told.
    """
    with errors_shown(as_json):
        if folder is not None:
            bring_back(folder.resolve(), data.resolve())
        found = restoration.restore(data.resolve())
    if as_json:
        print_json(found)
        return
    for line in restoration.lines(found):
        note(line)


def bring_back(backup: Path, data: Path) -> None:
    """Copy a backup into a data folder that has nothing yet; can be repeated. DataFolderError."""
    if not datafolder.is_backup(backup):
        raise DataFolderError(f"{backup} is no backup that rehost made", "name the folder of a rehost backup")
    make_folder(data, 0o700)
    if not datafolder.is_backup(data):
        if (data / "keys").exists() or (data / DATABASE_FILE).exists():
            raise DataFolderError(f"{data} has a control plane's data", "move it away first: mv it aside")
        _check_volumes(backup, data)
        datafolder.mark_backup(data)
    copying.copy_folder(backup, data)
    reach("restore.copied")


def _check_volumes(backup: Path, data: Path) -> None:
    """Where there is none of the images the records would forget all."""
    found = storage.find(backup)
    volumes = data if found == backup else found
    if not any((folder / "images").is_dir() for folder in (backup, volumes)):
        raise DataFolderError(
            f"{backup} was made without replicas and images, and {volumes} has none",
            f"put both folders there first, as they are or from their snapshot; if they are lost:"
            f" mkdir -p {volumes}/replicas {volumes}/images",
        )
