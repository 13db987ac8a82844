"""Copies that are under way, all of them at once: thousands of runs may copy, for days."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rehost.core import progress as way
from rehost.core.agentapi import Progress
from rehost.core.job import JobState
from rehost.core.progress import Stage
from rehost.store.columns import Json
from rehost.store.database import Database
from rehost.store.runs import IS_PRESENT
from rehost.store.schema import jobs, runs, source_servers
from rehost.store.serverrow import offline
from rehost.store.status import sync_info
from rehost.store.transition import is_in


@dataclass(frozen=True, slots=True)
class Copy:
    """A job's present run, whose source is being copied."""

    id: str  # the job's
    source: str
    run: str
    generation: int
    ended: bool  # the agent has said how
    status_info: str
    silent_since: float | None  # its source is offline since then; None: it is there
    place: tuple[str, int] | None  # where its agent brings the data; None: it is told something else


@dataclass(frozen=True, slots=True)
class _Leave:
    """What of an assignment is looked at."""

    run: str
    receiver_host: str
    receiver_port: int


class Copies:
    def __init__(self, database: Database) -> None:
        self._database = database

    def under_way(self, host: str) -> tuple[Copy, ...]:
        """Those of a host's jobs, in one query."""
        with self._database.read() as connection:
            rows = connection.execute(_UNDER_WAY, {"host": host, "now": self._database.now()})
            return tuple(map(_copy, rows))

    def record(self, told: Mapping[str, Progress]) -> frozenset[str]:
        """Keep what agents say of their copies, by source, in one transaction, and show it in the jobs.

        The sources whose word counts: it is not of a run, a generation or a state that is over.
        """
        with self._database.write() as connection:
            wanted = {"runs": [progress.run for progress in told.values()]}
            rows = connection.execute(_PRESENT, wanted).all()
            changes = list(_changes(rows, told, self._database.now()))
            if changes:
                connection.execute(_KEEP, changes)
                connection.execute(_SHOW, changes)
        return frozenset(change["source"] for change in changes)


def _changes(rows: Any, told: Mapping[str, Progress], now: float) -> Iterator[dict[str, Any]]:
    for row in rows:
        progress = told.get(row.source_id)
        if progress is None or (progress.run, progress.generation) != (row.id, row.generation):
            continue
        course, percent = row.course, row.progress
        if course is not None:
            course = way.entered(course, Stage.COPYING, now)
            course, fraction = way.copied(course, progress)
            percent = max(percent, way.percent(course, fraction))
        yield {
            "source": row.source_id, "of_run": row.id, "of_job": row.job, "told": progress,
            "course": course, "percent": percent, "info": sync_info(progress),
        }  # fmt: skip


def _copy(row: Any) -> Copy:
    leave: _Leave | None = row.leave
    mine = leave is not None and leave.run == row.run
    return Copy(
        id=row.id,
        source=row.source_id,
        run=row.run,
        generation=row.generation,
        ended=row.ended,
        status_info=row.status_info,
        silent_since=row.heartbeat if row.offline else None,
        place=(leave.receiver_host, leave.receiver_port) if leave and mine else None,
    )


_SYNCING = is_in(JobState.SYNCING)

# Built once: to build them takes longer than to execute them.
_UNDER_WAY = (
    sa.select(
        jobs.c.id, jobs.c.source_id, jobs.c.status_info, runs.c.id.label("run"), runs.c.generation,
        runs.c.result.is_not(None).label("ended"), source_servers.c.heartbeat,
        offline.label("offline"),
        sa.type_coerce(source_servers.c.assignment, Json(_Leave)).label("leave"),
    )
    .select_from(jobs.join(runs, IS_PRESENT).join(source_servers, source_servers.c.id == jobs.c.source_id))
    .where(_SYNCING, jobs.c.host == sa.bindparam("host", type_=sa.String))
    .order_by(jobs.c.created)
)  # fmt: skip
_PRESENT = (
    sa.select(runs.c.id, runs.c.job, runs.c.generation, runs.c.course, jobs.c.source_id, jobs.c.progress)
    .select_from(runs.join(jobs, IS_PRESENT))
    .where(_SYNCING, runs.c.id.in_(sa.bindparam("runs", expanding=True)))
)
_KEEP = (
    runs.update()
    .where(runs.c.id == sa.bindparam("of_run"))
    .values(progress=sa.bindparam("told"), course=sa.bindparam("course"))
)
_SHOW = (
    jobs.update()
    .where(jobs.c.id == sa.bindparam("of_job"))
    .values(progress=sa.bindparam("percent"), status_info=sa.bindparam("info"))
)
