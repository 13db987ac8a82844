from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from rehost.core.agentapi import Assignment, AssignmentVolume, Heartbeat
from rehost.core.errors import (
    NotFoundError,
    RelatedJobError,
    RunningJobError,
    SourceServerStateError,
)
from rehost.core.job import Event, JobState
from rehost.core.server import ServerState
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Page
from rehost.store.runs import RunType
from rehost.store.serverrow import ServerFilter
from rehost.store.store import Store


def _assignment(run: str, generation: int = 1) -> Assignment:
    return Assignment(run, "j", generation, "t", "", 1, (AssignmentVolume(0, "/dev/sda", 1 << 20, 1 << 18),))


def _beat(server, **changes) -> Heartbeat:
    return replace(Heartbeat(server.inventory, '{"cores":"2"}', "0.2"), **changes)


def test_three_missed_heartbeats_make_it_unavailable(store: Store, register, clock) -> None:
    server = register()
    assert server.state is ServerState.AVAILABLE
    clock.time += 90
    assert store.servers.get(server.id).state is ServerState.AVAILABLE
    clock.time += 1
    late = store.servers.get(server.id)
    assert (late.state, late.offline) == (ServerState.UNAVAILABLE, True)
    store.servers.heartbeat(server.id, _beat(server))
    again = store.servers.get(server.id)
    assert (again.state, again.offline, again.agent_version) == (ServerState.AVAILABLE, False, "0.2")


def test_an_agent_with_an_error_is_unavailable_but_not_offline(store: Store, register) -> None:
    server = register()
    store.servers.heartbeat(server.id, _beat(server, error_code="S1", error_msg="no room"))
    found = store.servers.get(server.id)
    assert (found.state, found.offline, found.error_msg) == (ServerState.UNAVAILABLE, False, "no room")


def test_a_running_job_makes_it_in_use(store: Store, register) -> None:
    server = register()
    job = store.jobs.create("one", JobSpec(server.id), None, "k")
    assert store.servers.get(server.id).state is ServerState.AVAILABLE
    store.runs.begin(job.id, Event.START, RunType.MANUAL, "k")
    found = store.servers.get(server.id)
    assert (found.state, found.job_id) == (ServerState.IN_USE, job.id)
    store.jobs.apply(job.id, Event.FAIL, "rehost")
    assert store.servers.get(server.id).state is ServerState.AVAILABLE


def test_filters_hold_together_and_pages_count_all(store: Store, register, clock) -> None:
    servers = []
    for letter in "abc":
        servers.append(register(letter))
        clock.time += 1
    register("d", account="two")
    job = store.jobs.create("one", JobSpec(servers[0].id), None, "k")
    clock.time += 89
    store.servers.heartbeat(servers[1].id, _beat(servers[1]))

    def find(page: Page = Page(), **conditions) -> tuple[list[str], int]:  # noqa: B008
        listing = store.servers.find("one", ServerFilter(**conditions), page)
        return [server.id for server in listing.items], listing.total

    newest_first = [server.id for server in reversed(servers)]
    assert find() == (newest_first, 3)
    assert find(Page(2, 2)) == (newest_first[2:], 3)
    assert find(ids=[servers[1].id, servers[2].id]) == (newest_first[:2], 2)
    assert find(job_id=job.id) == ([servers[0].id], 1)
    assert find(state="Unavailable") == ([servers[0].id], 1)
    assert find(state="Available", name="web1") == (newest_first[:2], 2)
    assert find(name="other") == ([], 0)


def test_an_assignment_has_a_version_that_grows(store: Store, register) -> None:
    server = register()
    first, nothing = store.assignments.get(server.id)
    assert nothing is None
    store.assignments.assign(server.id, _assignment("r1"))
    second, assignment = store.assignments.get(server.id)
    assert second > first
    assert assignment == _assignment("r1")


def test_only_the_assignment_of_the_run_is_withdrawn(store: Store, register) -> None:
    server = register()
    store.assignments.assign(server.id, _assignment("r2"))
    before = store.assignments.get(server.id)
    store.assignments.withdraw(server.id, "r1")
    assert store.assignments.get(server.id) == before
    store.assignments.withdraw(server.id, "r2")
    assert store.assignments.get(server.id) == (before[0] + 1, None)
    store.assignments.withdraw(server.id, "r2")
    assert store.assignments.get(server.id) == (before[0] + 1, None)


def test_a_removed_server_is_gone_for_its_agent(store: Store, register) -> None:
    server = register()
    assert store.servers.delete(server.id, False, "k") == ()
    assert store.servers.get(server.id).state is ServerState.DELETING
    store.servers.remove(server.id)
    store.servers.remove(server.id)
    with pytest.raises(NotFoundError):
        store.servers.get(server.id)


@contextmanager
def _cut_off_at(store: Store, statement: str) -> Iterator[None]:
    """The database goes away before the statement; whatever a transaction did before is undone."""

    def cut(connection, cursor, text, *_: object) -> None:
        if text.startswith(statement):
            raise ConnectionError(text)

    sa.event.listen(store.database.engine, "before_cursor_execute", cut)
    try:
        yield
    finally:
        sa.event.remove(store.database.engine, "before_cursor_execute", cut)


def test_a_server_and_its_jobs_go_to_deleting_together(store: Store, clock, register) -> None:
    """Cut off in between, the server would be Deleting for ever, with a job that nobody deletes."""
    server = register().id
    first = store.jobs.create("one", JobSpec(server), None, "k").id
    for event in (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.CLEANED):
        store.jobs.apply(first, event, "k")
    clock.time += 1
    second = store.jobs.create("one", JobSpec(server), None, "k").id
    with pytest.raises(RelatedJobError, match=second):
        store.servers.delete(server, False, "k")
    with _cut_off_at(store, "UPDATE source_servers SET deleting"), pytest.raises(ConnectionError):
        store.servers.delete(server, True, "k")
    assert store.servers.get(server).state is ServerState.AVAILABLE
    assert store.jobs.get(first).state is JobState.FINISHED
    assert [job.id for job in store.servers.delete(server, True, "k")] == [first, second]
    assert {store.jobs.get(job).state for job in (first, second)} == {JobState.DELETING}
    with pytest.raises(SourceServerStateError):
        store.servers.delete(server, True, "k")
    with pytest.raises(SourceServerStateError):
        store.servers.modify(server, "k", name="other")


def test_a_server_whose_job_runs_is_not_deleted(store: Store, register) -> None:
    server = register().id
    job = store.jobs.create("one", JobSpec(server), None, "k").id
    store.jobs.apply(job, Event.START, "k")
    for force in (False, True):
        with pytest.raises(RunningJobError, match=job):
            store.servers.delete(server, force, "k")
    assert store.servers.get(server).state is ServerState.IN_USE
