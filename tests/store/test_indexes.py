"""Listings are read off an index in the order of their pages: no sorting, no look at rows of other pages."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from rehost.core.job import JobState
from rehost.store.jobs import JobFilter
from rehost.store.paging import Page
from rehost.store.serverrow import ServerFilter
from rehost.store.store import Store


def plans(store: Store, act: Any) -> list[str]:
    """SQLite's plan of every query that is made meanwhile, step by step."""
    made: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            made.append((statement, parameters))

    engine = store.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    act()
    sa.event.remove(engine, "before_cursor_execute", note)
    assert made
    with store.database.read() as connection:
        return [
            str(row.detail)
            for statement, parameters in made
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


LISTINGS = {
    "all jobs": lambda store: store.jobs.find("one", JobFilter(), Page()),
    "jobs of a region": lambda store: store.jobs.find("one", JobFilter(region="local"), Page()),
    "jobs by state": lambda store: store.jobs.find("one", JobFilter(status="Ready"), Page()),
    "a job by name": lambda store: store.jobs.find("one", JobFilter(name="x"), Page()),
    "jobs of a group": lambda store: store.jobs.find("one", JobFilter(resource_group_id="g"), Page()),
    "all sources": lambda store: store.servers.find("one", ServerFilter(), Page()),
    "a source by name": lambda store: store.servers.find("one", ServerFilter(name="x"), Page()),
    **{
        f"sources that are {state}": lambda store, state=state: store.servers.find(
            "one", ServerFilter(state=state), Page()
        )
        for state in ("Deleting", "InUse", "Unavailable")
    },
    "running jobs": lambda store: store.jobs.in_states(JobState.SYNCING, JobState.PREPARING),
    "jobs that are due": lambda store: store.jobs.due(),
    "sources to remove": lambda store: store.servers.emptied(),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_needs_no_scan(tmp_path: Path, name: str) -> None:
    store = Store.open(tmp_path, bytes(32))
    steps = plans(store, lambda: LISTINGS[name](store))
    store.close()
    scans = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
    assert [step for step in scans if "SUBQUERY" not in step] == []  # which has found few by an index
    if name.startswith("sources that are"):
        assert not [step for step in steps if "source_servers USING INDEX source_servers_newest" in step]
    if name.startswith("all"):
        assert not [step for step in steps if "B-TREE" in step and "newest" in step]
        assert any("_newest" in step for step in steps)
