"""Which host takes over what a dead one ran."""

from collections.abc import Iterator
from dataclasses import replace
from string import ascii_lowercase

import pytest

from rehost.core.agentapi import Register
from rehost.core.job import Event, JobState
from rehost.flow.takeover import Takeover
from rehost.store.hosts import HostKind, Presence
from rehost.store.jobspec import JobSpec
from rehost.store.runs import RunType
from rehost.store.schema import jobs
from rehost.store.store import Store
from tests.api.world import Workflows
from tests.postgresql import Cluster
from tests.store.conftest import INVENTORY

DEAD = Presence("h-dead", "dead", HostKind.WORKER, "dead.example", 7443, 100 << 30, "0.1", "nas", "keys")
LONG, OVER = 3600.0, -1.0  # seconds of leases
JOBS = 6


@pytest.fixture
def store(postgresql: Cluster) -> Iterator[Store]:
    """With jobs that the one host runs, and two more hosts."""
    url = postgresql.make()
    made = Store.open(url, bytes(32))
    made.hosts.join(DEAD, LONG)
    for letter in ascii_lowercase[:JOBS]:
        _, code = made.codes.create("one", "test")
        source = made.servers.register(Register(code, letter * 64, INVENTORY, "0.1"))
        job = made.jobs.create("one", JobSpec(source.id), None, "k")
        made.runs.begin(job.id, Event.START, RunType.MANUAL, "k")
    for host in ("h-1", "h-2"):
        made.hosts.join(replace(DEAD, id=host, name=host), LONG)
    yield made
    made.close()
    postgresql.drop(url)


def takeover(store: Store, host: str, patience: float = LONG) -> Takeover:
    return Takeover(store, Workflows(), host, "nas", lambda: True, patience=patience)


def running(store: Store) -> dict[str, int]:
    return {host.id: host.running for host in store.hosts.all()}


def test_hosts_share_what_a_dead_one_ran(store: Store) -> None:
    store.hosts.join(DEAD, OVER)
    takeover(store, "h-1").tick()
    takeover(store, "h-1").tick()
    assert running(store) == {"h-1": 3, "h-2": 0, "h-dead": 3}
    takeover(store, "h-2").tick()
    assert running(store) == {"h-1": 3, "h-2": 3, "h-dead": 0}


def test_a_job_that_is_to_be_deleted_says_that_its_host_is_away(store: Store) -> None:
    """It has nothing to run, and only its host has what is to be released."""
    alone = replace(DEAD, id="h-3", name="alone", volumes="")
    store.hosts.join(alone, LONG)
    job = store.jobs.in_states(JobState.PREPARING)[0]
    with store.database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job.id).values(host="h-3"))
    store.jobs.apply(job.id, Event.FAIL, "k")
    store.jobs.apply(job.id, Event.DELETE, "k")
    store.hosts.join(alone, OVER)
    takeover(store, "h-1").tick()
    assert "rehost worker forget alone" in store.jobs.get(job.id).status_info


def test_nothing_waits_long_for_a_host_that_does_not_take_its_share(store: Store) -> None:
    store.hosts.join(DEAD, OVER)
    takeover(store, "h-1", patience=0.5).tick()
    assert running(store) == {"h-1": JOBS, "h-2": 0, "h-dead": 0}


def test_a_host_that_is_drained_has_no_share(store: Store) -> None:
    store.hosts.drain("h-2", True)
    store.hosts.join(DEAD, OVER)
    takeover(store, "h-2").tick()
    assert running(store)["h-2"] == 0
    takeover(store, "h-1").tick()
    assert running(store) == {"h-1": JOBS, "h-2": 0, "h-dead": 0}
