"""Jobs above a limit wait as they are, say why, and begin by themselves, the oldest first."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from rehost.core.errors import InvalidTransitionError
from rehost.core.job import Event, JobState, Status
from rehost.core.room import RunningJobs
from rehost.store.hosts import HostKind, Presence
from rehost.store.runs import RunType
from rehost.store.schema import jobs
from tests.flow.world import World
from tests.jobpaths import bring_to


@pytest.fixture
def limited(world: World) -> World:
    world.store.room.limits = RunningJobs(per_account=1)
    return world


def jobs_of(world: World, *letters: str) -> list[str]:
    return [world.job(world.register(letter)).id for letter in letters]


def why(world: World, job: str) -> str:
    return json.loads(world.store.jobs.get(job).status_info).get("message", "")


def test_a_job_above_the_limit_begins_when_there_is_room(limited: World) -> None:
    source = limited.register("a")
    first = limited.job(source).id
    second, third = jobs_of(limited, "b", "c")
    run = limited.lifecycle.start(first, "tester")
    assert run is not None
    for job in (second, third, second):
        assert limited.lifecycle.start(job, "tester") is None
        assert limited.store.jobs.get(job).state is JobState.READY
        assert "the account one has 1 running job" in why(limited, job)
        time.sleep(0.01)
    limited.upkeep.tick()
    assert limited.store.jobs.get(second).state is JobState.READY
    limited.until(first, JobState.SYNCING)
    limited.copied(source, run.id)
    limited.until(first, JobState.FINISHED)
    limited.upkeep.tick()
    assert limited.until(second, JobState.SYNCING).wanted_type == ""
    assert limited.store.jobs.get(third).state is JobState.READY
    events = [event.what for event in limited.store.events.of(second)]
    assert events == ["CREATE", "WAIT", "START", "PREPARED"]


def test_who_asks_later_does_not_overtake(limited: World) -> None:
    first, second, third = jobs_of(limited, "a", "b", "c")
    limited.lifecycle.start(first, "tester")
    limited.lifecycle.start(second, "tester")
    limited.until(first, JobState.SYNCING)
    limited.lifecycle.stop(first, "tester")
    assert limited.lifecycle.start(third, "tester") is None
    assert limited.lifecycle.start(first, "tester") is None
    limited.upkeep.tick()
    limited.until(second, JobState.SYNCING)
    assert limited.store.jobs.get(first).state is JobState.STOPPED


def test_a_start_that_waits_is_taken_back_by_stop(limited: World) -> None:
    first, second = jobs_of(limited, "a", "b")
    limited.lifecycle.start(first, "tester")
    limited.lifecycle.start(second, "tester")
    limited.lifecycle.stop(second, "tester")
    now = limited.store.jobs.get(second)
    assert (now.wanted_type, now.status_info) == ("", "")
    with pytest.raises(InvalidTransitionError):
        limited.lifecycle.stop(second, "tester")
    limited.store.room.limits = RunningJobs()
    limited.upkeep.tick()
    assert limited.store.jobs.get(second).state is JobState.READY


def test_a_job_that_waits_for_room_can_be_deleted(limited: World) -> None:
    first, second = jobs_of(limited, "a", "b")
    limited.lifecycle.start(first, "tester")
    limited.lifecycle.start(second, "tester")
    limited.lifecycle.delete(second, "tester")
    assert limited.store.jobs.get(second).wanted_type == ""


def test_a_scheduled_start_waits_and_stays_one(limited: World) -> None:
    first = jobs_of(limited, "a")[0]
    due = limited.job(limited.register("b"), scheduled_start=time.time() - 1).id
    limited.lifecycle.start(first, "tester")
    limited.upkeep.tick()
    assert limited.store.jobs.get(due).wanted_type == "Schedule"
    limited.store.room.limits = RunningJobs(per_account=2)
    limited.upkeep.tick()
    limited.until(due, JobState.SYNCING)
    (run,) = limited.store.runs.of_jobs([due])[due]
    assert run.type is RunType.SCHEDULE


def test_a_scheduled_start_that_is_taken_back_does_not_come_again(limited: World) -> None:
    due = limited.job(limited.register("a"), scheduled_start=time.time() - 1).id
    waiting = limited.job(limited.register("b"), run_once=False, frequency=1, max_images=2).id
    bring_to(limited.store, waiting, JobState.WAITING)
    with limited.store.database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == waiting).values(ended=time.time() - 3601))
    limited.lifecycle.start(jobs_of(limited, "c")[0], "tester")
    limited.upkeep.tick()
    for job in (due, waiting):
        assert limited.store.jobs.get(job).wanted_type == "Schedule"
        limited.lifecycle.stop(job, "tester")
    limited.upkeep.tick()
    assert [limited.store.jobs.get(job).wanted_type for job in (due, waiting)] == ["", ""]
    assert limited.store.jobs.get(due).spec.scheduled_start is None
    clock = limited.store.database.now
    limited.store.database.now = lambda: clock() + 3601
    limited.upkeep.tick()
    assert limited.store.jobs.get(waiting).wanted_type == "Schedule", "the one after that comes in its time"


def test_a_scheduled_start_waits_for_a_host_and_says_so(world: World) -> None:
    world.store.hosts.join(Presence("h-1", "one", HostKind.WORKER, "", 7443, 1 << 40, "0.1", "", "keys"))
    world.store.hosts.drain("one", True)
    due = world.job(world.register(), scheduled_start=time.time() - 1).id
    for _ in range(3):
        world.upkeep.tick()
    assert why(world, due) == "none of 1 hosts takes new jobs"
    assert [event.what for event in world.store.events.of(due)] == ["CREATE", "WAIT"]
    world.store.hosts.drain("one", False)
    world.upkeep.tick()
    assert (world.store.jobs.get(due).state, world.store.jobs.get(due).host) == (JobState.PREPARING, "h-1")


def start_at_once(world: World, jobs: list[str]) -> None:
    threads = [threading.Thread(target=world.lifecycle.start, args=(job, "tester")) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_starts_at_once_do_not_pass_the_limit(world: World) -> None:
    world.store.room.limits = RunningJobs(per_account=3)
    made = jobs_of(world, *"abcdefgh")
    start_at_once(world, made)
    states = [world.store.jobs.get(job).state.status for job in made]
    assert states.count(Status.RUNNING) == 3
    assert sum(bool(world.store.jobs.get(job).wanted_type) for job in made) == 5


def test_starts_at_once_do_not_pass_the_limit_of_any_worker(world: World) -> None:
    """These have no engine here: what is placed on them runs, and stays."""
    one = Presence("h-1", "one", HostKind.WORKER, "one.example", 7443, 1 << 40, "0.1", "", "keys")
    for name in ("h-1", "h-2"):
        world.store.hosts.join(replace(one, id=name, name=name))
    world.store.room.limits = RunningJobs(per_worker=2)
    made = jobs_of(world, *"abcdef")
    start_at_once(world, made)
    assert placed(world, made) == {"h-1": 2, "h-2": 2}
    gone = next(job for job in made if world.store.jobs.get(job).host == "h-2")
    world.store.jobs.apply(gone, Event.FAIL, "tester")
    world.upkeep.tick()
    assert placed(world, made) == {"h-1": 2, "h-2": 2}


def placed(world: World, jobs: list[str]) -> Counter[str]:
    found = map(world.store.jobs.get, jobs)
    return Counter(job.host for job in found if job.state.status is Status.RUNNING)


def test_a_start_that_only_cleans_needs_no_room(limited: World) -> None:
    first, second = jobs_of(limited, "a", "b")
    limited.store.runs.begin(second, Event.START, RunType.MANUAL, "tester")
    for event in (Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.FAIL):
        limited.store.jobs.apply(second, event, "tester")
    limited.lifecycle.start(first, "tester")
    assert limited.lifecycle.start(second, "tester") is not None
