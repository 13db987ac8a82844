"""What an action asks of the database does not grow with the rows that it answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from rehost.api.actions import ACTIONS
from rehost.core.job import Event
from rehost.store.runs import RunType
from tests.api.signed import call
from tests.api.world import World

OF_ONE = ("DescribeReplicationJobEvents", "DescribeWebhookDeliveries")
LISTINGS = [name for name in ACTIONS if name.startswith("Describe") and name not in OF_ONE]


@contextmanager
def counted(world: World) -> Iterator[list[str]]:
    """Of this thread: the audit trail writes from its own now and then."""
    statements: list[str] = []
    mine = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        of_a_connection = statement.startswith("PRAGMA")  # set when it was set to something else before
        if threading.get_ident() == mine and not of_a_connection:
            statements.append(statement)

    engine = world.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", note)


def add(world: World) -> None:
    """A source with a job that runs."""
    source = world.source()
    job = call(world, "CreateReplicationJob", RegionId="local", SourceId=source.id)[1]["JobId"]
    world.store.runs.begin(job, Event.START, RunType.MANUAL, "test")


@pytest.mark.parametrize("action", LISTINGS)
def test_a_listing(world: World, action: str) -> None:
    add(world)
    call(world, action)  # sweeps nonces, which happens now and then
    with counted(world) as few:
        assert call(world, action, PageSize="50")[0] == 200
    for _ in range(20):
        add(world)
    with counted(world) as many:
        assert call(world, action, PageSize="50")[0] == 200
    assert len(many) == len(few)


def test_an_agents_poll_and_heartbeat_of_many(world: World) -> None:
    """One statement tells the versions of all, one transaction takes the heartbeats of all."""
    sources = [world.source().id for _ in range(30)]
    with counted(world) as asked:
        assert len(world.store.assignments.versions(sources)) == 30
    assert len([statement for statement in asked if "SELECT" in statement and "lock" not in statement]) == 1
    with counted(world) as one:
        world.store.servers.heartbeats(dict.fromkeys(sources[:1]))
    with counted(world) as all_of_them:
        world.store.servers.heartbeats(dict.fromkeys(sources))
    assert len(all_of_them) == len(one)
