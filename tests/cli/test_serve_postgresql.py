"""`rehost serve` with its records in PostgreSQL."""

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.cli import datafolder
from rehost.cli.serve import ServeConfig, serve
from rehost.core.errors import HostError, InvalidValueError
from rehost.core.job import JobState
from rehost.store.jobs import JobFilter
from rehost.store.paging import Page
from tests.cli.serving import Agent, ControlPlane
from tests.postgresql import Cluster


@pytest.fixture
def url(postgresql: Cluster) -> Iterator[str]:
    made = postgresql.make(empty=True)
    yield made
    postgresql.drop(made)


@pytest.fixture
def plane(tmp_path: Path, cache: Path, url: str) -> Iterator[ControlPlane]:
    started = ControlPlane(tmp_path, cache)
    started.start(database=url)
    yield started
    started.close()


def test_a_run_and_a_restart_that_remembers_the_database(plane: ControlPlane, tmp_path: Path) -> None:
    """A run of which the restart is the middle: the engine's records are in the database too."""
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    first = agent.wait_for_assignment()
    assert plane.stop() == 0
    assert stat.S_IMODE((tmp_path / datafolder.URL_FILE).stat().st_mode) == 0o600
    plane.start()
    again = agent.wait_for_assignment()
    assert again.run == first.run
    agent.tell(again, agent.copy(again))
    plane.until_state(job_id, JobState.FINISHED)
    assert not (tmp_path / "rehost.db").exists()
    with closing(datafolder.open_store(tmp_path)) as store:
        assert store.jobs.find("default", JobFilter(), Page()).total == 1


def test_a_host_with_other_keys_is_refused(
    plane: ControlPlane, url: str, tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> None:
    """Nobody could open what the others have sealed or signed, whether they run or not."""
    for running in (True, False):
        if not running:
            plane.stop()
        other = tmp_path_factory.mktemp("other")
        config = ServeConfig(other, "127.0.0.1:0", "127.0.0.1:0", database=url, helper_cache=cache)
        with pytest.raises(HostError, match=r"keys of this host"):
            serve(config)


def test_what_is_no_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="postgresql://"):
        serve(ServeConfig(tmp_path, "127.0.0.1:0", "127.0.0.1:0", database="host/db"))


def test_a_password_is_in_no_announcement_and_no_log(plane: ControlPlane, tmp_path: Path, url: str) -> None:
    plane.stop()
    plane.start(database=url.replace("rehost@", "rehost:s3cr3tword@"))
    plane.client().call("DescribeSourceServers")
    assert plane.stop() == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    holders = [path.name for path in files if b"s3cr3tword" in path.read_bytes()]
    assert holders == [datafolder.URL_FILE]
