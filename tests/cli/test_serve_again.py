"""Runs of an incremental job, one after the other, over API and data plane."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.core.job import JobState
from tests.cli.again import contents, run_once
from tests.cli.serving import Agent, ControlPlane
from tests.receive.site import CHUNK


@pytest.fixture
def plane(tmp_path: Path, cache: Path) -> Iterator[ControlPlane]:
    with closing(ControlPlane(tmp_path, cache)) as running:
        yield running


def test_each_run_sends_what_changed_and_its_image_is_of_its_time(plane: ControlPlane) -> None:
    """The control plane is killed between the runs; of three images two are kept."""
    plane.start()
    agent = Agent(plane)
    job_id = agent.create_job(run_once=False, frequency=12, max_images=2)
    images, states, sent = [], [], []
    for number in range(3):
        if number:
            first, second = agent.contents
            changed = bytes([number]) * CHUNK
            agent.contents = (first[:CHUNK] + changed + first[2 * CHUNK :], changed + second[CHUNK:])
        images.append(run_once(plane, agent, job_id))
        states.append(list(agent.contents))
        sent.append(agent.sent)
        plane.stop(signal.SIGKILL)
        plane.start()
    assert [sent[1] - sent[0], sent[2] - sent[1]] == [2, 2]
    assert len(chain(plane.data / "replicas" / job_id)) == 2
    assert sorted(path.name for path in (plane.data / "images").iterdir()) == sorted(images[1:])
    assert [contents(plane, image) for image in images[1:]] == states[1:]
    runs = plane.describe(job_id)["ReplicationJobRuns"]["ReplicationJobRun"]
    assert [run["ImageId"] for run in runs] == images
    cut_over(plane, agent, job_id)


def cut_over(plane: ControlPlane, agent: Agent, job_id: str) -> None:
    """A last run; the control plane is killed right after it has promised it. Then the job is over."""
    plane.client().call("CutOverReplicationJob", {"JobId": job_id, "SyncData": True})
    plane.stop(signal.SIGKILL)
    plane.start()
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    plane.until_state(job_id, JobState.FINISHED)
    shown = plane.describe(job_id)
    assert (shown["Status"], shown["RunOnce"], "EndTime" in shown) == ("Finished", False, True)
    assert len(shown["ReplicationJobRuns"]["ReplicationJobRun"]) == 4
