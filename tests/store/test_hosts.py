"""Hosts, the leases that they hold, where jobs are placed, and who takes them over; on both databases.

A database of one host has no leases: what dies there is started again and nobody waits.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.core.agentapi import Register
from rehost.core.errors import HostError, InvalidTransitionError, NoHostError, NoRoomError, NotFoundError
from rehost.core.job import Event, JobState
from rehost.core.room import RunningJobs
from rehost.store import schema
from rehost.store.hosts import HostKind, Presence, reachable
from rehost.store.jobspec import JobSpec
from rehost.store.runs import Run, RunType
from rehost.store.store import Store
from tests.postgresql import Cluster
from tests.store.conftest import INVENTORY

ONE = Presence("h-1", "one", HostKind.WORKER, "one.example", 7443, 100 << 30, "0.1", "", "keys")
TWO = replace(ONE, id="h-2", name="two", receiver_host="two.example")
LONG, OVER = 3600.0, -1.0  # seconds of leases: one that holds, one that has run out when it begins


@pytest.fixture
def several(postgresql: Cluster) -> Iterator[Store]:
    """A database that several hosts may have."""
    url = postgresql.make()
    store = Store.open(url, bytes(32))
    yield store
    store.close()
    postgresql.drop(url)


def job(store: Store, letter: str) -> str:
    """Of a source server of its own."""
    _, code = store.codes.create("one", "test")
    source = store.servers.register(Register(code, letter * 64, INVENTORY, "0.1"))
    return store.jobs.create("one", JobSpec(source.id), None, "k").id


def begin(store: Store, letter: str = "a") -> Run:
    return store.runs.begin(job(store, letter), Event.START, RunType.MANUAL, "k")


def test_a_run_begins_at_the_host_that_runs_least(several: Store) -> None:
    several.hosts.join(ONE, LONG)
    several.hosts.join(TWO, LONG)
    placed = [begin(several, letter) for letter in "abcd"]
    assert sorted(run.host for run in placed) == ["h-1", "h-1", "h-2", "h-2"]
    assert [several.jobs.get(run.job).host for run in placed] == [run.host for run in placed]
    assert {host.id: host.running for host in several.hosts.all()} == {"h-1": 2, "h-2": 2}


def test_no_run_begins_at_a_host_that_is_away_or_drained_or_full(several: Store) -> None:
    several.hosts.join(ONE, OVER)
    several.hosts.join(TWO, LONG)
    assert begin(several).host == "h-2"
    several.hosts.join(ONE, LONG)
    several.hosts.drain("two", True)
    assert begin(several, "b").host == "h-1"
    several.hosts.drain("h-2", False)
    several.hosts.renew("h-1", 2, 7443, 1 << 20, LONG)
    assert begin(several, "c").host == begin(several, "d").host == "h-2"
    for name in ("one", "two"):
        several.hosts.drain(name, True)
    with pytest.raises(NoHostError):
        begin(several, "e")


def test_a_worker_runs_as_many_jobs_as_it_may(several: Store) -> None:
    """Also if the other has no room for one job's bytes; one that has its volumes there waits for it."""
    several.room.limits = RunningJobs(per_worker=2)
    several.hosts.join(ONE, LONG)
    several.hosts.join(replace(TWO, free=0), LONG)
    first, second = begin(several, "a"), begin(several, "b")
    waits = job(several, "c")
    with pytest.raises(NoRoomError, match="the worker h-1 has 2 running jobs"):
        several.runs.begin(waits, Event.START, RunType.MANUAL, "k")
    several.hosts.join(TWO, LONG)
    elsewhere = [several.runs.begin(waits, Event.START, RunType.MANUAL, "k"), begin(several, "d")]
    assert [run.host for run in (first, second, *elsewhere)] == ["h-1", "h-1", "h-2", "h-2"]
    with pytest.raises(NoRoomError):
        begin(several, "e")
    several.jobs.apply(first.job, Event.FAIL, "k")
    several.jobs.apply(elsewhere[0].job, Event.FAIL, "k")
    assert begin(several, "f").host == "h-1"
    with pytest.raises(NoRoomError, match="the worker h-1 has 2"):
        several.runs.begin(first.job, Event.START, RunType.MANUAL, "k")


def test_a_job_stays_where_its_volumes_are(several: Store) -> None:
    """But for storage that another host has too, when its own is to be free of jobs."""
    for volumes, second in (("", "h-1"), ("nas", "h-2")):
        several.hosts.join(replace(ONE, volumes=volumes), LONG)
        run = begin(several, "a" if volumes else "b")
        several.jobs.apply(run.job, Event.FAIL, "k")
        several.hosts.join(replace(TWO, volumes=volumes), LONG)
        several.hosts.drain("one", True)
        assert several.runs.begin(run.job, Event.START, RunType.MANUAL, "k").host == second
        several.hosts.drain("one", False)
        several.hosts.leave("h-2", several.hosts.all()[1].generation)


def test_a_place_that_another_process_has_taken_cannot_be_held(store: Store) -> None:
    first = store.hosts.join(ONE, LONG)
    second = store.hosts.join(ONE, LONG)
    assert not store.hosts.renew("h-1", first, 1, 1)
    assert store.hosts.renew("h-1", second, 7444, 5 << 30)
    (host,) = store.hosts.all()
    assert (host.presence.receiver_port, host.presence.free, host.generation) == (7444, 5 << 30, second)


def test_the_first_host_has_the_jobs_of_before(store: Store) -> None:
    run = begin(store)
    idle = job(store, "b")
    assert run.host == ""
    store.hosts.join(ONE, LONG)
    assert store.jobs.get(run.job).host == store.runs.get(run.id).host == "h-1"
    assert store.jobs.get(idle).host == ""


def test_one_leads(several: Store) -> None:
    several.hosts.join(ONE, OVER)
    several.hosts.join(TWO, LONG)
    assert [several.hosts.leads(host) for host in ("h-1", "h-2")] == [False, True]
    several.hosts.join(ONE, LONG)
    assert [several.hosts.leads(host) for host in ("h-1", "h-2")] == [True, False]


THREE = replace(TWO, id="h-3", name="three")
SOON = 30.0  # seconds of a lease that is about to run out, of those that last LONG


def seen_since(store: Store) -> dict[str, float]:
    """By the hosts' names."""
    with store.database.read() as connection:
        rows = connection.execute(sa.select(schema.hosts.c.name, schema.hosts.c.seen_since))
        return {row.name: row.seen_since for row in rows}


def test_a_host_that_has_just_come_knows_what_the_others_know(several: Store) -> None:
    """Also what only a dead one knew; so it need not watch for as long before it takes over."""
    first = several.hosts.join(ONE, LONG)
    assert not several.hosts.steady("h-1", LONG)
    assert several.hosts.steady("h-1", 0.0)
    several.hosts.join(TWO, LONG)
    several.hosts.leave("h-1", first)
    several.hosts.join(THREE, LONG)
    several.hosts.renew("h-2", 1, 7443, 1)
    assert len(set(seen_since(several).values())) == 1


@pytest.mark.parametrize("lease", [OVER, SOON])
def test_after_a_time_without_renewals_each_host_has_a_lease_long(several: Store, lease: float) -> None:
    """The database may have been away: who lives renews its own in that time, and is not taken for dead."""
    several.hosts.join(ONE, lease)
    before = seen_since(several)["one"]
    assert not several.hosts.steady("h-1", LONG)
    several.hosts.join(TWO, LONG)
    again = seen_since(several)["two"]
    assert again > before
    assert several.hosts.renew("h-1", 1, 7443, 1, LONG)
    assert seen_since(several) == {"one": again, "two": again}


def test_a_host_is_not_steady_while_it_does_not_renew_its_lease(several: Store) -> None:
    several.hosts.join(ONE, LONG)
    several.hosts.join(TWO, SOON)
    assert not several.hosts.steady("h-2", LONG)
    assert several.hosts.steady("h-2", 0.0)
    several.hosts.join(TWO, OVER)
    assert not several.hosts.steady("h-2", 0.0)


def test_what_does_not_go_together_is_refused(several: Store) -> None:
    several.hosts.join(ONE, LONG)
    with pytest.raises(HostError, match="keys of this host are not those of one"):
        several.hosts.join(replace(TWO, keys="others"), LONG)
    with pytest.raises(HostError, match="volumes of two"):
        several.hosts.join(replace(TWO, receiver_host=""), LONG)
    several.hosts.join(replace(ONE, receiver_host=""), LONG)
    with pytest.raises(HostError, match="volumes of one"):
        several.hosts.join(TWO, LONG)
    assert [host.name for host in several.hosts.all()] == ["one"]


@pytest.mark.parametrize(
    ("events", "after"),
    [
        ((), JobState.PREPARING),
        ((Event.PREPARED,), JobState.PREPARING),
        ((Event.PREPARED, Event.SYNCED), JobState.PROCESSING),
        ((Event.PREPARED, Event.SYNCED, Event.PROCESSED), JobState.CLEANING),
    ],
)
def test_what_a_host_that_is_away_ran_is_another_ones(
    several: Store, events: tuple[Event, ...], after: JobState
) -> None:
    several.hosts.join(replace(ONE, volumes="nas"), LONG)
    run = begin(several)
    for event in events:
        several.runs.apply(run, event, "k")
    several.runs.pass_time([run.id])
    shown = several.jobs.get(run.job).progress
    assert several.takeovers.orphans() == ()
    assert several.takeovers.take(several.jobs.get(run.job), "h-2", "k") is None
    several.hosts.join(replace(ONE, volumes="nas"), OVER)
    several.hosts.join(replace(TWO, volumes="nas"), LONG)
    (orphan,) = several.takeovers.orphans()
    taken = several.takeovers.take(orphan.job, "h-2", "k")
    assert taken is not None
    assert (taken.id, taken.generation, taken.host) == (run.id, run.generation + 1, "h-2")
    assert (several.jobs.get(run.job).state, several.jobs.get(run.job).host) == (after, "h-2")
    assert several.jobs.get(run.job).progress == shown > 0
    assert several.takeovers.take(orphan.job, "h-3", "k") is None
    with pytest.raises(InvalidTransitionError, match="a newer one goes on"):
        several.runs.apply(run, Event.FAIL, "k")


def test_an_image_that_was_being_made_is_given_up_with_its_generation(several: Store) -> None:
    """Its name is free for the next one, and who made it cannot lay hands on that."""
    several.hosts.join(replace(ONE, volumes="nas"), LONG)
    run = begin(several)
    for event in (Event.PREPARED, Event.SYNCED):
        several.runs.apply(run, event, "k")
    present = several.jobs.get(run.job)
    old = several.images.reserve(present, run.id, run.generation)
    several.hosts.join(replace(ONE, volumes="nas"), OVER)
    taken = several.takeovers.take(present, "h-2", "k")
    assert taken is not None
    assert [image.id for image in several.images.given_up(run.id)] == [old.id]
    with pytest.raises(InvalidTransitionError):
        several.images.reserve(present, run.id, run.generation)
    new = several.images.reserve(present, run.id, taken.generation)
    assert (new.name, new.id == old.id) == (old.name, False)
    several.images.remove(old.id)
    assert several.images.given_up(run.id) == ()


def test_storage_is_reached_while_somebody_who_has_it_takes_jobs(several: Store) -> None:
    several.hosts.join(replace(ONE, volumes="nas"), LONG)
    several.hosts.join(TWO, LONG)
    assert reachable(several.hosts.all()) == {"nas"}
    several.hosts.drain("one", True)
    assert reachable(several.hosts.all()) == frozenset()
    several.hosts.drain("one", False)
    several.hosts.join(replace(ONE, volumes="nas"), OVER)
    assert reachable(several.hosts.all()) == frozenset()


@pytest.mark.parametrize(
    ("first", "second", "moved"), [("nas", "nas", False), ("nas", "", True), ("", "", True)]
)
def test_a_replica_is_discarded_only_where_the_jobs_host_has_other_storage(
    several: Store, first: str, second: str, moved: bool
) -> None:
    several.hosts.join(replace(ONE, volumes=first), LONG)
    run = begin(several)
    several.hosts.join(replace(ONE, volumes=first), OVER)
    several.hosts.join(replace(TWO, volumes=second), LONG)
    if first == second == "nas":
        with pytest.raises(HostError, match="take its jobs over"):
            several.takeovers.left_at("one")
    assert several.takeovers.resync(several.jobs.get(run.job), "k") is not None
    assert bool(several.takeovers.moved_away("h-1", {run.job: run.generation})) == moved


ON_ITS_WAY = (Event.PREPARED, Event.SYNCED, Event.PROCESSED)


@pytest.mark.parametrize("done", [0, 1, 2])
def test_what_a_host_that_is_away_ran_begins_anew_at_another(several: Store, done: int) -> None:
    several.hosts.join(ONE, LONG)
    run = begin(several)
    for event in ON_ITS_WAY[:done]:
        several.runs.apply(run, event, "k")
    image = several.images.reserve(several.jobs.get(run.job), run.id) if done == 2 else None
    several.hosts.join(TWO, LONG)
    assert several.takeovers.resync(several.jobs.get(run.job), "k") is None, "its host is there"
    with pytest.raises(HostError, match="is there"):
        several.takeovers.left_at("one")
    several.hosts.join(ONE, OVER)
    (left,) = several.takeovers.left_at("one", [run.job])
    again = several.takeovers.resync(left, "k")
    assert again is not None
    assert (again.id, again.generation, again.host, again.result) == (run.id, 2, "h-2", None)
    assert (several.jobs.get(run.job).state, several.jobs.get(run.job).host) == (JobState.PREPARING, "h-2")
    assert [each.id for each in several.images.given_up(run.id)] == ([image.id] if image else [])
    assert several.takeovers.moved_away("h-1", {run.job: 1, "j-of-nobody": 1}) == (run.job,)
    assert several.takeovers.moved_away("h-2", {run.job: 2}) == ()
    with pytest.raises(InvalidTransitionError, match="a newer one goes on"):
        several.runs.apply(run, Event.FAIL, "k")
    with pytest.raises(NotFoundError, match=run.job):
        several.takeovers.left_at("one", [run.job])


def test_what_rests_at_a_host_that_is_away_copies_anew_when_it_is_started(several: Store) -> None:
    several.hosts.join(ONE, LONG)
    stopped, made = begin(several, "a"), begin(several, "b")
    several.runs.apply(stopped, Event.FAIL, "k")
    for event in ON_ITS_WAY:
        several.runs.apply(made, event, "k")
    several.hosts.join(ONE, OVER)
    several.hosts.join(TWO, LONG)
    resting, ready = several.takeovers.left_at("one")
    assert several.takeovers.resync(resting, "k") is None
    assert several.takeovers.moved_away("h-1", {stopped.job: 1}) == (), "it is nobody else's yet"
    assert several.runs.begin(stopped.job, Event.START, RunType.MANUAL, "k").host == "h-2"
    with pytest.raises(InvalidTransitionError):
        several.takeovers.resync(ready, "k")
    assert several.jobs.get(made.job).host == "h-1"


def test_a_host_that_is_forgotten_leaves_its_jobs(several: Store) -> None:
    several.hosts.join(ONE, LONG)
    run = begin(several)
    with pytest.raises(HostError, match="is there"):
        several.takeovers.forget("one", "k")
    several.hosts.leave("h-1", 1)
    several.hosts.join(TWO, LONG)
    assert [each.id for each in several.takeovers.forget("one", "k")] == [run.job]
    left = several.jobs.get(run.job)
    assert (left.state, left.error_code, left.host) == (JobState.PREPARE_FAILED, HostError.code, "")
    assert several.runs.begin(run.job, Event.START, RunType.MANUAL, "k").host == "h-2"
    with pytest.raises(NotFoundError):
        several.takeovers.forget("one", "k")


def test_a_database_of_one_host_knows_no_death(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path, bytes(32))) as store:
        store.hosts.join(ONE, OVER)
        assert store.hosts.leads("h-1")
        assert store.hosts.takes_jobs("h-1")
        assert [host.alive for host in store.hosts.all()] == [True]
