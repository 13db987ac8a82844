"""The key that seals the secrets in the database: where it is, and how another one takes its place.

It is a systemd credential (`rehost-secrets.key`) if there is one, else keys/secrets.key, which only its owner
reads. The file holds one key, or, while the secrets are sealed anew, the new one and then the old one.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.block.durable import write_file
from rehost.core.errors import DataFolderError
from rehost.store.secretbox import KEY_BYTES

FILE = "secrets.key"
CREDENTIAL = "rehost-secrets.key"

_log = logging.getLogger(__name__)


def ensure(folder: Path) -> None:
    """Make a key on the first start, unless systemd hands one over."""
    path = _path(folder)
    if path.parent == folder and not path.exists():
        write_file(path, os.urandom(KEY_BYTES), 0o600)


def present(folder: Path) -> bool:
    return _path(folder).exists()


def load(folder: Path) -> tuple[bytes, ...]:
    """The keys, the newest first; DataFolderError when the file is none of this kind."""
    path = _path(folder)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataFolderError(
            f"there is no key for the secrets: {path}",
            "restore it from a backup, or run this with the unit's LoadCredential= if it has one",
        ) from None
    if not content or len(content) % KEY_BYTES:
        raise DataFolderError(
            f"{path} has {len(content)} bytes, a key has {KEY_BYTES}", "restore it from a backup"
        )
    if path.parent == folder:
        _close_to_others(path)
    return tuple(content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES))


def rotate(folder: Path, reseal: Callable[[], int]) -> int:
    """Put a new key in the old one's place; the number of secrets. Can be repeated after a sudden end.

    The new key is in the file before anything is sealed by it, and the old one as long as anything is: a
    `rehost serve` that runs reads the file again when it cannot open a secret.
    """
    with _alone(folder):
        path, keys = _path(folder), load(folder)
        if path.parent != folder:
            return _reseal_by_credential(keys, reseal)
        if len(keys) == 1:
            keys = (os.urandom(KEY_BYTES), *keys)
            write_file(path, b"".join(keys), 0o600)
        count = reseal()
        write_file(path, keys[0], 0o600)
        return count


def _reseal_by_credential(keys: tuple[bytes, ...], reseal: Callable[[], int]) -> int:
    if len(keys) == 1:
        raise DataFolderError(
            f"the key is the systemd credential {CREDENTIAL}, which this cannot change",
            "put 32 new bytes in front of the old ones in it, restart the service and run this again; then"
            " take the old ones out",
        )
    return reseal()


def _path(folder: Path) -> Path:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY", "")
    credential = Path(credentials) / CREDENTIAL
    return credential if credentials and credential.exists() else folder / FILE


def _close_to_others(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
        _log.warning("others could read %s; it is closed to them now. If any did: rehost key rotate", path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "rotation.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
