"""kill -9 of `rehost serve`, at points of a run where something has just become durable or is about to."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.cli import datafolder
from rehost.core.job import Event, JobState
from tests.cli.serving import MORE_POINTS, POINTS, SIZES, Agent, ControlPlane, until
from tests.receive.site import CHUNK

CHUNKS = sum(size // CHUNK for size in SIZES)


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, cache)
    yield made
    made.close()


@pytest.mark.parametrize(
    "point", [*POINTS, *(pytest.param(point, marks=pytest.mark.lab) for point in MORE_POINTS)]
)
def test_a_run_goes_on_after_a_kill(plane: ControlPlane, point: str) -> None:
    plane.start(point)
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    if point.startswith("create_replica"):
        _kill_and_restart(plane)
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    if not point.startswith("create_replica"):
        _kill_and_restart(plane)
    _finished(plane, agent, job_id)


def _kill_and_restart(plane: ControlPlane) -> None:
    plane.wait_reached()
    plane.stop(signal.SIGKILL)
    plane.start()


def _finished(plane: ControlPlane, agent: Agent, job_id: str) -> None:
    """One image, on the replica that equals the source; nothing of the run is left beside them."""
    done = plane.until_state(job_id, JobState.FINISHED)
    assert plane.describe(job_id)["ErrorCode"] == ""
    assert [path.name for path in (plane.data / "images").iterdir()] == [done.image_id]
    assert [path.name for path in (plane.data / "replicas").iterdir()] == [job_id]
    for number, content in enumerate(agent.contents):
        assert chain(plane.data / "replicas" / job_id)[0].data(number).read_bytes() == content
    assert agent.assignment() is None
    assert agent.sent == CHUNKS


def test_a_kill_in_the_middle_of_the_copy_sends_nothing_again(plane: ControlPlane) -> None:
    plane.start()
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    assignment = agent.wait_for_assignment()
    agent.copy(assignment, most=CHUNKS // 2)
    plane.stop(signal.SIGKILL)
    plane.start()
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    _finished(plane, agent, job_id)


def test_a_stop_in_a_long_step_is_quick_and_loses_nothing(plane: ControlPlane) -> None:
    plane.start("convert")
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    plane.wait_reached()
    assert plane.stop(signal.SIGTERM) == 0
    plane.start()
    _finished(plane, agent, job_id)


def test_a_job_that_was_deleted_while_the_plane_was_down_is_released(plane: ControlPlane) -> None:
    plane.start("seal before")
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    plane.wait_reached()
    plane.stop(signal.SIGKILL)

    with closing(datafolder.open_store(plane.data)) as store:
        store.jobs.apply(job_id, Event.FAIL, "test")
        store.jobs.apply(job_id, Event.DELETE, "test")
    plane.start()
    with closing(datafolder.open_store(plane.data)) as store:
        until(lambda: store.jobs.of_source(agent.source) == (), "the job is gone")
    assert list((plane.data / "replicas").iterdir()) == []
    assert list((plane.data / "images").iterdir()) == []
