"""Copies of replicas and images for a backup: what is sealed only, as nobody writes to that.

The caller keeps others from changing the job's chain of layers meanwhile. Where the file system can, the
copies share their blocks with the originals, and take no time; holes stay holes everywhere.
"""

import subprocess
from pathlib import Path

from rehost.block.durable import make_folder, sync_file, sync_folder
from rehost.block.layer import chain
from rehost.core.errors import VolumeError, VolumeFullError

_COPY = ("cp", "--reflink=auto", "--sparse=always", "--preserve=mode,timestamps", "--no-dereference")
_LOCK = "lock"  # made anew by whoever needs it


def copy_sealed(replica: Path, target: Path) -> bool:
    """The sealed layers of a replica and what describes it; False, and nothing, if none is sealed.

    A journal that is copied while somebody writes may vouch for data that the copy does not have.
    """
    layers = [layer for layer in chain(replica) if layer.sealed is not None]
    if not layers:
        return False
    make_folder(target / "layers")
    for layer in layers:
        copy_folder(layer.path, target / "layers" / layer.path.name)
    copy_files(replica, target)
    (target / _LOCK).unlink(missing_ok=True)
    return True


def copy_folder(source: Path, target: Path) -> None:
    """A folder with all that is in it, durable."""
    make_folder(target)
    for folder in (path for path in source.rglob("*") if path.is_dir()):
        make_folder(target / folder.relative_to(source))
        copy_files(folder, target / folder.relative_to(source))
    copy_files(source, target)


def copy_files(source: Path, target: Path) -> None:
    """The files in a folder, not those below it; durable. VolumeFullError without room."""
    files = [path for path in source.iterdir() if path.is_file() and not path.name.startswith(".")]
    if not files:
        return
    done = subprocess.run([*_COPY, *files, target], capture_output=True, text=True, check=False)
    if done.returncode:
        kind = VolumeFullError if "No space left" in done.stderr else VolumeError
        raise kind(f"{source} cannot be copied to {target}: {done.stderr.strip()}", "make room there")
    for file in files:
        sync_file(target / file.name)
    sync_folder(target)
