"""The key of the secrets: closed to others, replaced under a running server, handed over by systemd."""

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from rehost.cli import secretskey
from rehost.core.errors import DataFolderError
from rehost.store.store import Store
from tests.cli.serving import ROOT


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    secretskey.ensure(folder)
    return folder


def opened(keys: Path, records: Path | str) -> Store:
    return Store.open(records, partial(secretskey.load, keys))


def test_it_is_made_once_and_its_owners_alone(keys: Path) -> None:
    made = (keys / "secrets.key").read_bytes()
    secretskey.ensure(keys)
    assert (keys / "secrets.key").read_bytes() == made
    assert (keys / "secrets.key").stat().st_mode & 0o777 == 0o600


def test_one_that_others_can_read_is_closed_to_them(keys: Path, caplog: pytest.LogCaptureFixture) -> None:
    (keys / "secrets.key").chmod(0o644)
    secretskey.load(keys)
    assert (keys / "secrets.key").stat().st_mode & 0o777 == 0o600
    assert "rehost key rotate" in caplog.text


def test_another_key_takes_its_place_and_secrets_stay(keys: Path, records: Path | str) -> None:
    store = opened(keys, records)
    made = [store.keys.create("1") for _ in range(5)]
    before = (keys / "secrets.key").read_bytes()
    assert secretskey.rotate(keys, store.keys.reseal) == 5
    assert [store.keys.get(key.id) for key in made] == made
    store.close()
    assert (keys / "secrets.key").read_bytes() != before
    old = Store.open(records, before)
    with pytest.raises(DataFolderError, match=r"secrets\.key"):
        old.keys.get(made[0].id)
    old.close()


def test_another_process_goes_on_with_the_new_key(keys: Path, records: Path | str) -> None:
    """One that has the old key in memory, and adds keys of its own meanwhile."""
    mine, other = opened(keys, records), opened(keys, records)
    made = [other.keys.create("1")]
    other.keys.get(made[0].id)
    stop, failures = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            try:
                made.append(other.keys.create("1"))
                other.keys.get(made[0].id)
            except DataFolderError as error:
                failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        secretskey.rotate(keys, mine.keys.reseal)
    stop.set()
    thread.join()
    assert failures == []
    assert len(secretskey.load(keys)) == 1
    assert [mine.keys.get(key.id) for key in made] == made
    mine.close()
    other.close()


_ROTATE = """
import os, signal, sys
from functools import partial
from pathlib import Path
from rehost.cli import secretskey
from rehost.store.store import Store
keys, records, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
where = records if "://" in records else Path(records)
store = Store.open(where, partial(secretskey.load, keys))
def reseal():
    if point == "before": die()
    count = store.keys.reseal()
    if point == "after": die()
    return count
secretskey.rotate(keys, reseal)
"""


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_rotation_that_is_killed_loses_nothing_and_can_be_repeated(
    keys: Path, records: Path | str, point: str
) -> None:
    store = opened(keys, records)
    key = store.keys.create("1")
    command = [sys.executable, "-c", _ROTATE, str(keys), str(records), point]
    ended = subprocess.run(command, cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(secretskey.load(keys)) == 2
    assert store.keys.get(key.id) == key
    secretskey.rotate(keys, store.keys.reseal)
    assert len(secretskey.load(keys)) == 1
    assert store.keys.get(key.id) == key
    store.close()


def test_a_credential_of_systemd_comes_first(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = keys.parent / "credentials"
    credentials.mkdir()
    (credentials / "rehost-secrets.key").write_bytes(b"c" * 32)
    (keys / "secrets.key").unlink()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    secretskey.ensure(keys)
    assert not (keys / "secrets.key").exists()
    assert secretskey.load(keys) == (b"c" * 32,)
    store = opened(keys, keys.parent)
    key = store.keys.create("1")
    with pytest.raises(DataFolderError, match="cannot change"):
        secretskey.rotate(keys, store.keys.reseal)
    new = os.urandom(32)
    (credentials / "rehost-secrets.key").write_bytes(new + b"c" * 32)
    assert secretskey.rotate(keys, store.keys.reseal) == 1
    (credentials / "rehost-secrets.key").write_bytes(new)
    assert store.keys.get(key.id) == key
    store.close()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(DataFolderError, match="LoadCredential"):
        secretskey.load(keys)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_file_that_is_no_key(keys: Path, content: bytes) -> None:
    (keys / "secrets.key").write_bytes(content)
    with pytest.raises(DataFolderError, match="a key has 32"):
        secretskey.load(keys)
