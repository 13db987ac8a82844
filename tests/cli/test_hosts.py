"""Several hosts on one database: two of `rehost serve` and two of `rehost worker`, as processes."""

import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.cli.client import Client, load_profile
from rehost.compute.local.driver import LocalDriver
from rehost.core.agentapi import Assignment
from rehost.core.errors import TicketStaleError, VolumeError
from rehost.core.job import JobState
from tests.cli.hosts import SERVERS, WORKERS, Hosts
from tests.cli.serving import RESYNC_AFTER, Agent, until


@pytest.fixture
def hosts(tmp_path: Path, cache: Path, url: str) -> Iterator[Hosts]:
    with closing(Hosts(tmp_path, cache, url)) as made:
        yield made


def started(hosts: Hosts) -> tuple[Agent, str, Assignment]:
    """An agent with the assignment of a job that the other server was asked to start."""
    agent = Agent(hosts[SERVERS[0]])
    job = agent.create_job()
    profile = load_profile(hosts[SERVERS[0]].data / "first-access-key.json")
    other = replace(profile, endpoint=hosts[SERVERS[1]].endpoint)
    Client(other).call("StartReplicationJob", {"JobId": job})
    return agent, job, agent.wait_for_assignment()


def newer(agent: Agent, assignment: Assignment) -> Assignment:
    return agent.wait_for_assignment(assignment.generation)


@pytest.mark.lab  # migration/test_hosts.py shows it with an agent and a disk in the default tests
def test_a_killed_worker_in_the_middle_of_a_copy(hosts: Hosts) -> None:
    """The other one goes on: nothing durable is sent again, and the image is the source."""
    agent, job, first = started(hosts)
    dead = hosts.of(job)
    assert dead in WORKERS
    agent.copy(first, most=5)
    hosts.kill(dead)
    second = newer(agent, first)
    assert (second.run, second.generation) == (first.run, first.generation + 1)
    roots = agent.copy(second)
    assert agent.sent == sum(-(-volume.size // volume.chunk) for volume in second.volumes)
    agent.tell(second, roots or ())
    hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
    alive = hosts.of(job)
    assert alive == next(name for name in WORKERS if name != dead)
    (image,) = LocalDriver(hosts[alive].data, hosts.volumes).images()
    assert (image.state, image.run) == ("ready", first.run)
    assert [each["JobId"] for each in hosts.command("jobs", alive)] == [job]
    assert hosts.command("jobs", dead) == []


def test_a_worker_that_wakes_up_after_its_job_was_taken_over_cannot_write(hosts: Hosts) -> None:
    agent, job, first = started(hosts)
    asleep = hosts.of(job)
    agent.copy(first, most=5)
    hosts.stop(asleep, signal.SIGSTOP)
    second = newer(agent, first)
    states = {host["Name"]: host["State"] for host in hosts.command("list")}
    assert states.pop(asleep).startswith("away since")
    assert states == dict.fromkeys(SERVERS, "draining") | {hosts.of(job): "working"}
    agent.copy(second, most=5)
    hosts.stop(asleep, signal.SIGCONT)
    with pytest.raises(TicketStaleError):
        agent.copy(first)
    agent.tell(second, agent.copy(second) or ())
    hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
    assert hosts.of(job) != asleep


@pytest.fixture
def alone(tmp_path: Path, cache: Path, url: str) -> Iterator[Hosts]:
    """Each with volumes that no other one has."""
    with closing(Hosts(tmp_path, cache, url, shared=False)) as made:
        yield made


def copied_anew(hosts: Hosts, agent: Agent, job: str, first: Assignment) -> str:
    """The other worker copies everything, and finishes; its name."""
    second = newer(agent, first)
    assert (second.run, second.generation) == (first.run, first.generation + 1)
    agent.sent = 0
    agent.tell(second, agent.copy(second) or ())
    assert agent.sent == sum(-(-volume.size // volume.chunk) for volume in second.volumes)
    hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
    return hosts.of(job)


def nothing_left(hosts: Hosts, name: str) -> bool:
    return not any(list((hosts[name].data / folder).iterdir()) for folder in ("replicas", "images"))


@pytest.mark.lab
def test_what_a_dead_host_had_alone_is_copied_anew_when_somebody_asks(
    alone: Hosts,
) -> None:
    agent, job, first = started(alone)
    dead = alone.of(job)
    agent.copy(first, most=5)
    alone.kill(dead)
    until(lambda: f"the host {dead} was last heard of" in alone.job(job).status_info, "the job says why")
    found = alone.command("resync", dead, "--job", job)
    assert [each["JobId"] for each in found] == [job]
    assert copied_anew(alone, agent, job, first) == next(name for name in WORKERS if name != dead)
    alone.start(dead)
    until(lambda: nothing_left(alone, dead), "what it had is gone")
    with pytest.raises(VolumeError, match="is no replica"):
        agent.copy(replace(first, receiver_port=alone.port(dead)))
    assert alone.job(job).state is JobState.FINISHED


@pytest.mark.lab
def test_by_policy_it_is_copied_anew_and_a_host_that_wakes_up_cannot_write(
    tmp_path: Path, cache: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RESYNC_AFTER, "0.05")
    with closing(Hosts(tmp_path, cache, url, shared=False)) as hosts:
        agent, job, first = started(hosts)
        asleep = hosts.of(job)
        agent.copy(first, most=5)
        hosts.stop(asleep, signal.SIGSTOP)
        assert copied_anew(hosts, agent, job, first) != asleep
        hosts.stop(asleep, signal.SIGCONT)
        until(lambda: nothing_left(hosts, asleep), "what it had is gone")
        with pytest.raises(VolumeError, match="is no replica"):
            agent.copy(first)


@pytest.mark.lab  # what the two tests above show, in the steps that take long
@pytest.mark.parametrize("point", ["create_image before", "convert", "boot_check"])
def test_a_worker_that_stood_still_in_a_step_changes_nothing(hosts: Hosts, point: str) -> None:
    """What it was at fails, as the image is no more, and the job that it would fail is another host's."""
    asleep, other = WORKERS
    for name in WORKERS:
        hosts[name].stop()
    hosts.start(asleep, point)
    agent, job, first = started(hosts)
    agent.tell(first, agent.copy(first) or ())
    hosts[asleep].wait_reached()
    hosts.start(other, "finish_image before")
    hosts.stop(asleep, signal.SIGSTOP)
    hosts[other].wait_reached()
    hosts[asleep].leave()
    hosts.stop(asleep, signal.SIGCONT)
    until(lambda: hosts.workflow(f"{first.run}.{first.generation}") == "SUCCESS", "its workflow is over")
    assert hosts.job(job).state is JobState.PROCESSING
    hosts[other].leave()
    hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
    assert hosts.of(job) == other
    (image,) = LocalDriver(hosts[other].data, hosts.volumes).images()
    assert image.state == "ready"
