"""Another release takes over in the middle of a run."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.cli import datafolder
from rehost.core.job import JobState
from tests.cli.serving import OLDER, POINTS, Agent, ControlPlane


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    with closing(ControlPlane(tmp_path, cache)) as made:
        yield made


@pytest.mark.parametrize("point", ["", *POINTS])
def test_a_run_that_a_release_with_other_steps_began_ends_under_this_one(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Within the copy, or where the older one stood still in its steps; nothing is sent again."""
    with monkeypatch.context() as older:
        older.setenv(OLDER, "0")
        plane.start(point)
    agent = Agent(plane)
    job_id = agent.create_job()
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    if point == POINTS[0]:
        plane.wait_reached()
    else:
        assignment = agent.wait_for_assignment()
        roots = agent.copy(assignment, most=None if point else 2)
        if roots is not None:
            agent.tell(assignment, roots)
            plane.wait_reached()
    plane.stop(signal.SIGKILL)
    plane.start()
    if point in ("", POINTS[0]):
        assignment = agent.wait_for_assignment()
        roots = agent.copy(assignment)
        assert roots is not None
        agent.tell(assignment, roots)
    plane.until_state(job_id, JobState.FINISHED)
    assert agent.sent == sum(len(content) for content in agent.contents) // (256 << 10)
    with closing(datafolder.open_store(plane.data)) as store:
        (run,) = store.runs.of_jobs([job_id])[job_id]
        assert (run.number, run.generation) == (1, 1)
