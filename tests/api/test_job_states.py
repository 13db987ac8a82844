"""Which action a job's state allows, as the reference says it of each, and what refuses the others."""

from itertools import product
from typing import Any

import pytest

from rehost.core.agentapi import Assignment
from rehost.core.job import Event, JobState, Status
from rehost.store.schema import jobs
from tests.api.signed import call
from tests.api.test_jobs import described, made
from tests.api.world import World
from tests.jobpaths import bring_to

RUNNING = {state for state in JobState if state.status is Status.RUNNING}
IN_ERROR = {state for state in JobState if state.status is Status.IN_ERROR}

ALLOWED: dict[str, set[JobState]] = {
    # "Ready, Stopped, InError"; Waiting: the next run now, see docs/decisions/0017
    "StartReplicationJob": {JobState.READY, JobState.STOPPED, JobState.WAITING, *IN_ERROR},
    # "only a job that is Running and Syncing"
    "StopReplicationJob": {JobState.SYNCING},
    # "the state must be Waiting"
    "CutOverReplicationJob": {JobState.WAITING},
    # the reference has an error for the status without saying of which: not while it runs, not twice
    "DeleteReplicationJob": set(JobState) - RUNNING - {JobState.DELETING},
}


def job_in(world: World, state: JobState, **parameters: str) -> str:
    again = {"RunOnce": "false", "Frequency": "12", "MaxNumberOfImageToKeep": "3"}
    job = made(world, world.source().id, **again, **parameters)
    bring_to(world.store, job, state)
    return job


@pytest.mark.parametrize(("action", "state"), list(product(ALLOWED, JobState)))
def test_what_a_state_allows(world: World, action: str, state: JobState) -> None:
    job = job_in(world, state)
    status, reply = call(world, action, JobId=job)
    if state in ALLOWED[action]:
        assert (status, reply.keys()) == (200, {"RequestId"})
        assert world.store.jobs.get(job).state is not state
        return
    assert (status, reply["Code"]) == (400, "ReplicationJob.InvalidStatus")
    text = f"The specified replication job status is invalid. {job}: a job in status {state.text} "
    assert reply["Message"].startswith(text)
    assert "it is possible from" in reply["Recommend"]
    assert world.store.jobs.get(job).state is state


def test_stop_takes_the_assignment_back_in_the_same_transaction(world: World) -> None:
    """So that no kill can leave an agent that copies for a job that is stopped."""
    job = job_in(world, JobState.SYNCING)
    known = world.store.jobs.get(job)
    assignment = Assignment(known.current_run, job, 1, "ticket", "", 1, ())
    world.store.assignments.assign(known.spec.source_id, assignment)
    world.store.jobs.apply(job, Event.STOP, "test")
    assert world.store.assignments.get(known.spec.source_id)[1] is None


def test_a_stopped_job_says_so_and_its_workflow_is_told(world: World) -> None:
    job = job_in(world, JobState.SYNCING)
    assert call(world, "StopReplicationJob", JobId=job)[0] == 200
    shown = described(world, job)
    assert (shown["Status"], shown["BusinessStatus"]) == ("Stopped", "Syncing")
    assert len(world.workflows.signalled) == 1


@pytest.mark.parametrize(
    ("sync", "business"), [("true", "Preparing"), ("false", "Cleaning"), ("", "Cleaning")]
)
def test_cut_over_with_and_without_a_last_run(world: World, sync: str, business: str) -> None:
    job = job_in(world, JobState.WAITING)
    assert call(world, "CutOverReplicationJob", JobId=job, SyncData=sync)[0] == 200
    shown = described(world, job)
    assert (shown["Status"], shown["BusinessStatus"], shown["RunOnce"]) == ("Running", business, False)
    assert len(world.workflows.started) == 1


def test_a_last_run_needs_its_source_and_an_end_without_one_does_not(world: World) -> None:
    job = job_in(world, JobState.WAITING)
    world.clock.ahead = 3600
    status, reply = call(world, "CutOverReplicationJob", JobId=job, SyncData="true")
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")
    assert call(world, "CutOverReplicationJob", JobId=job, SyncData="false")[0] == 200


def test_what_is_left_to_clean_needs_no_source(world: World) -> None:
    job = job_in(world, JobState.CLEAN_FAILED)
    world.clock.ahead = 3600
    assert call(world, "StartReplicationJob", JobId=job)[0] == 200
    assert described(world, job)["BusinessStatus"] == "Cleaning"


@pytest.mark.parametrize("state", JobState)
def test_only_what_is_over_has_an_end_and_no_transition_instance(world: World, state: JobState) -> None:
    job = job_in(world, state)
    with world.store.database.write() as connection:
        connection.execute(jobs.update().values(transition_instance_id="i-1", ended=1.0))
    shown, over = described(world, job), state.status in ("Finished", "Expired", "Deleting")
    assert ("EndTime" in shown, "TransitionInstanceId" in shown) == (over, not over)


def test_what_happened_to_a_job_is_told_when_it_is_gone_to_its_account_only(world: World) -> None:
    job = made(world, world.source().id)
    call(world, "DeleteReplicationJob", JobId=job)
    world.store.jobs.remove(job)
    happened = events(world, job)["Events"]["Event"]
    assert [(event["Event"], event["Actor"]) for event in happened] == [
        ("CREATE", world.key.id), ("DELETE", world.key.id), ("REMOVE", "rehost"),
    ]  # fmt: skip
    stranger = world.store.keys.create("two")
    reply = call(world, "DescribeReplicationJobEvents", key=stranger, JobId=job)[1]
    assert reply["Code"] == "InvalidJobId.NotFound"


def events(world: World, job: str, **page: str) -> dict[str, Any]:
    status, reply = call(world, "DescribeReplicationJobEvents", JobId=job, **page)
    assert status == 200, reply
    return reply


def test_every_event_tells_the_state_who_asked_and_how_long_it_lasted(world: World) -> None:
    job = made(world, world.source().id)
    world.clock.ahead = 10
    call(world, "StartReplicationJob", JobId=job)
    world.store.events.add(job, "rehost", "IMAGES KEPT", "in use")
    reply = events(world, job)
    happened = reply["Events"]["Event"]
    assert [(event["Event"], event["State"], event.get("Duration")) for event in happened] == [
        ("CREATE", "Ready", 10),
        ("START", "Running/Preparing", None),
        ("IMAGES KEPT", "", None),
    ]
    assert [event["Actor"] for event in happened] == [world.key.id, world.key.id, "rehost"]
    assert happened[2]["Detail"] == "in use"
    assert reply["TotalCount"] == 3
    assert [e["Event"] for e in events(world, job, PageSize="2", PageNumber="2")["Events"]["Event"]] == [
        "IMAGES KEPT"
    ]
