"""Another release takes over in the middle of a run, or works beside the older one."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.cli import datafolder
from rehost.core.job import JobState
from rehost.flow.dbos_engine import VERSION
from tests.cli.hosts import SERVERS, WORKERS, Hosts
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


@pytest.fixture
def hosts(tmp_path: Path, cache: Path, url: str) -> Iterator[Hosts]:
    with closing(Hosts(tmp_path, cache, url)) as made:
        yield made


def started_at(hosts: Hosts, name: str, letter: str) -> tuple[Agent, str, str]:
    """An agent that has copied a part of what a server of the new release has started at this worker."""
    for other in WORKERS:
        hosts.command("drain", other, *(["--undo"] if other == name else []))
    agent = Agent(hosts[SERVERS[0]], letter)
    job = agent.create_job()
    hosts[SERVERS[0]].client().call("StartReplicationJob", {"JobId": job})
    assignment = agent.wait_for_assignment()
    assert hosts.of(job) == name
    agent.copy(assignment, most=3)
    return agent, job, f"{assignment.run}.{assignment.generation}"


@pytest.mark.lab  # four processes, two of them twice
def test_hosts_of_two_releases_work_side_by_side(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older one, which is drained, ends what it has begun by the steps that it knows."""
    older, newer = WORKERS
    hosts[older].stop()
    with monkeypatch.context() as environment:
        environment.setenv(OLDER, "0")
        hosts.start(older)
    made = {name: started_at(hosts, name, letter) for name, letter in ((older, "a"), (newer, "b"))}
    for agent, job, _ in made.values():
        assignment = agent.wait_for_assignment()
        agent.tell(assignment, agent.copy(assignment) or ())
        hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
        assert agent.sent == sum(-(-volume.size // volume.chunk) for volume in assignment.volumes)
    steps = {name: sorted(set(hosts.steps(workflow))) for name, (_, _, workflow) in made.items()}
    assert steps == {
        older: ["clean", "prepare", "process", "sync"],
        newer: ["build", "check", "clean", "finish", "prepare", "sync"],
    }
    versions = [hosts.workflow(workflow, "application_version") for _, _, workflow in made.values()]
    assert versions == ["0", VERSION]
    assert {name: hosts.of(job) for name, (_, job, _) in made.items()} == {older: older, newer: newer}
