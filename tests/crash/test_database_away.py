"""The database goes away while jobs run: they wait, and go on when it is back."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rehost.cli import datafolder
from rehost.core.job import JobState
from rehost.store.store import DATABASE_FILE
from tests.crash import runs
from tests.crash.site import Site

BRIEFLY = 3.0
LONG = 120.0  # seconds, longer than anybody waits for a lock


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """As another process has it: nobody else may write."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        pytest.param(DATABASE_FILE, BRIEFLY, id="records, briefly"),
        pytest.param(DATABASE_FILE, LONG, id="records, long", marks=pytest.mark.lab),
        pytest.param(datafolder.ENGINE_FILE, LONG, id="engine, long", marks=pytest.mark.lab),
    ],
)
def test_a_database_that_goes_away_within_a_copy(site: Site, name: str, seconds: float) -> None:
    job = runs.incremental(site, ReplicationParameters=runs.SLOWLY)
    site.call("StartReplicationJob", JobId=job)
    site.until_state(job, lambda now: now.job.state is JobState.SYNCING, "it does not copy")
    with locked(site.data / name):
        threading.Event().wait(seconds)
    runs.finish(site, job, 1)
    runs.run(site, job, 2)


@pytest.mark.lab
def test_a_database_that_goes_away_at_every_start_of_a_step(site: Site) -> None:
    """Again and again for longer than the locks' patience, in the shadow of a run."""
    job = runs.incremental(site)
    runs.run(site, job, 1)
    site.change_disk()
    site.call("StartReplicationJob", JobId=job)
    for _ in range(3):
        with locked(site.data / DATABASE_FILE):
            threading.Event().wait(35)
    runs.finish(site, job, 2)
