"""Where a host's replicas and images lie: in its data folder, or in a folder that several hosts share.

A shared folder has a name of its own, so that hosts which mount it at different places know that it is one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from rehost.block.durable import make_folder, write_file
from rehost.compute.local import folders
from rehost.core.errors import DataFolderError

FILE = "volumes"  # in the data folder: the path of a shared folder
NAME_FILE = "storage.id"  # in the shared folder
_PARTS = ("replicas", "images")


@dataclass(frozen=True, slots=True)
class Storage:
    path: Path
    name: str  # empty: no other host has it


def find(data: Path) -> Path:
    """As the data folder was served last."""
    kept = data / FILE
    return Path(kept.read_text().strip()) if kept.exists() else data


def prepare(data: Path, asked: Path | None) -> Storage:
    """What is asked for, else what was there before; remembered, and made if need be.

    DataFolderError when that would leave replicas or images behind, or the folder cannot be used.
    """
    before = find(data)
    path = before if asked is None else asked.resolve()
    if path != before and any(folders.visible(before / part) for part in _PARTS):
        raise DataFolderError(
            f"replicas and images lie in {before}, not in {path}",
            f"move both folders there first, or start with --volumes {before}",
        )
    if path == data:
        return Storage(data, "")
    try:
        for part in _PARTS:
            make_folder(path / part, 0o700)
        name = _name(path / NAME_FILE)
    except OSError as error:
        raise DataFolderError(
            f"the folder {path} cannot be used: {error.strerror}", "choose another one with --volumes"
        ) from error
    write_file(data / FILE, str(path).encode())
    return Storage(path, name)


def _name(path: Path) -> str:
    """Of two hosts that come first at the same time both read what one of them wrote."""
    if not path.exists():
        made = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        write_file(made, os.urandom(16).hex().encode())
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text().strip()
