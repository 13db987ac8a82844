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
from rehost.core.errors import TicketStaleError
from rehost.core.job import JobState
from tests.cli.hosts import SERVERS, WORKERS, Hosts
from tests.cli.serving import Agent, until


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
    def there() -> bool:
        found = agent.assignment()
        return found is not None and found.generation > assignment.generation

    until(there, "another host takes the job over", 60)
    found = agent.assignment()
    assert found is not None
    return found


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
    states = {host["Name"]: host["State"] for host in hosts.command("list")}
    assert states[alive] == "working"
    assert states[dead].startswith("away since")


def test_a_worker_that_wakes_up_after_its_job_was_taken_over_cannot_write(hosts: Hosts) -> None:
    agent, job, first = started(hosts)
    asleep = hosts.of(job)
    agent.copy(first, most=5)
    hosts.stop(asleep, signal.SIGSTOP)
    second = newer(agent, first)
    agent.copy(second, most=5)
    hosts.stop(asleep, signal.SIGCONT)
    with pytest.raises(TicketStaleError):
        agent.copy(first)
    agent.tell(second, agent.copy(second) or ())
    hosts[SERVERS[0]].until_state(job, JobState.FINISHED)
    assert hosts.of(job) != asleep


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
