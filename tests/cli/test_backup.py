"""Backups of a control plane whose records are in PostgreSQL, and what a backup has and has not."""

import json
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from demo.control_plane import PROGRAM
from rehost.block.layer import chain
from rehost.cli import datafolder, storage
from rehost.cli.backup import back_up, bring_back
from rehost.core.errors import DataFolderError
from tests.cli.again import contents, run_once
from tests.cli.serving import Agent, ControlPlane
from tests.receive.site import CHUNK


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    data = tmp_path / "data"
    data.mkdir()
    with closing(ControlPlane(data, cache)) as made:
        yield made


def silent(_job: str) -> None:
    pass


def rehost(*words: str | Path) -> dict[str, Any]:
    done = subprocess.run([PROGRAM, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def change(agent: Agent, number: int) -> None:
    first, second = agent.contents
    agent.contents = (bytes([number]) * CHUNK + first[CHUNK:], second)


def test_records_in_postgresql_by_its_own_tools(plane: ControlPlane, url: str, tmp_path: Path) -> None:
    plane.start(database=url)
    agent = Agent(plane)
    job_id = agent.create_job(run_once=False, frequency=12, max_images=2)
    first, before = run_once(plane, agent, job_id), list(agent.contents)
    dump = ["pg_dump", "--format=custom", "--exclude-schema=dbos", "--file", tmp_path / "records", url]
    subprocess.run(dump, check=True)
    made = back_up(plane.data, tmp_path / "backup", True, silent)
    assert (made.records, made.images) == ("", (first,))
    change(agent, 1)
    lost = run_once(plane, agent, job_id)
    plane.stop(signal.SIGKILL)
    shutil.rmtree(plane.data)
    restore = ["pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname", url]
    subprocess.run([*restore, tmp_path / "records"], check=True)
    found = rehost("restore", tmp_path / "backup", "--data", plane.data)
    assert not any(found.values())
    plane.start()
    assert contents(plane, first) == before
    change(agent, 2)
    second = run_once(plane, agent, job_id)
    assert second != lost
    assert contents(plane, second) == list(agent.contents)


def test_restored_at_one_of_several_hosts(plane: ControlPlane, url: str, tmp_path: Path) -> None:
    """The images of the others are where they were."""
    plane.start(database=url)
    agent = Agent(plane)
    image = run_once(plane, agent, agent.create_job(run_once=False, frequency=12, max_images=2))
    plane.stop()
    other = tmp_path / "other"
    shutil.copytree(plane.data / "keys", other / "keys")
    (other / datafolder.URL_FILE).write_text(url)
    assert rehost("restore", "--data", other)["lost"] == []
    assert rehost("restore", "--data", plane.data)["lost"] == []
    shutil.rmtree(plane.data / "images" / image)
    assert rehost("restore", "--data", plane.data)["lost"] == [image]


def test_a_backup_is_for_its_owner_and_has_what_is_sealed(plane: ControlPlane, tmp_path: Path) -> None:
    plane.start()
    agent = Agent(plane)
    job_id = agent.create_job(run_once=False, frequency=12, max_images=2)
    image = run_once(plane, agent, job_id)
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    agent.copy(agent.wait_for_assignment(), most=1)
    assert len(chain(plane.data / "replicas" / job_id)) == 2
    target = tmp_path / "backup"
    back_up(plane.data, target, True, silent)
    (layer,) = chain(target / "replicas" / job_id)
    assert layer.sealed is not None
    assert [path.name for path in (target / "images").iterdir()] == [image]
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    for secret in ("keys/secrets.key", "keys/ca.key", "rehost.db", "first-access-key.json"):
        assert stat.S_IMODE((target / secret).stat().st_mode) == 0o600


def test_without_volumes(plane: ControlPlane, tmp_path: Path) -> None:
    plane.start()
    image = run_once(
        plane, agent := Agent(plane), agent.create_job(run_once=False, frequency=12, max_images=2)
    )
    plane.stop()
    backup, lost = tmp_path / "backup", tmp_path / "lost"
    assert back_up(plane.data, backup, False, silent).jobs == ()
    assert not (backup / "replicas").exists()
    plane.data.rename(lost)
    with pytest.raises(DataFolderError, match="made without replicas and images"):
        bring_back(backup, plane.data)
    for name in ("replicas", "images"):
        (lost / name).rename(plane.data / name)
    assert not any(rehost("restore", backup, "--data", plane.data).values())
    assert contents(plane, image) == list(agent.contents)


def test_where_volumes_lie_elsewhere_they_are_found_again(tmp_path: Path, cache: Path) -> None:
    data, nas, backup = tmp_path / "data", tmp_path / "nas", tmp_path / "backup"
    data.mkdir()
    with closing(ControlPlane(data, cache, volumes=nas, name="one")) as plane:
        plane.start()
        agent = Agent(plane)
        image = run_once(plane, agent, agent.create_job(run_once=False, frequency=12, max_images=2))
        back_up(data, backup, False, silent)
    shutil.rmtree(data)
    assert not any(rehost("restore", backup, "--data", data).values())
    assert (storage.find(data) / "images" / image).is_dir()


def test_what_a_killed_backup_has_left_is_in_nobodys_way(plane: ControlPlane, tmp_path: Path) -> None:
    plane.start()
    (tmp_path / ".backup.new").mkdir()
    (tmp_path / ".backup.new/half").touch()
    back_up(plane.data, tmp_path / "backup", False, silent)
    assert not (tmp_path / "backup/half").exists()
    assert not (tmp_path / ".backup.new").exists()


def test_places_that_have_something_already(plane: ControlPlane, tmp_path: Path) -> None:
    plane.start()
    back_up(plane.data, tmp_path / "backup", False, silent)
    with pytest.raises(DataFolderError, match="exists"):
        back_up(plane.data, tmp_path / "backup", False, silent)
    with pytest.raises(DataFolderError, match="control plane's data"):
        bring_back(tmp_path / "backup", plane.data)
    with pytest.raises(DataFolderError, match="no backup"):
        bring_back(plane.data, tmp_path / "elsewhere")
    assert not datafolder.is_backup(plane.data)
