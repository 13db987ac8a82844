"""What becomes of jobs whose host is away: another host with the same storage takes them over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rehost.core import progress as way
from rehost.core.errors import HostError
from rehost.core.job import Event, JobState, Status, follow
from rehost.core.progress import Stage
from rehost.store import transition
from rehost.store.database import Database
from rehost.store.hosts import alive, find
from rehost.store.images import give_up
from rehost.store.runs import Run, expected, raise_generation, read
from rehost.store.schema import hosts, jobs
from rehost.store.transition import Job

_STAGES = {
    JobState.PREPARING: Stage.PREPARING,
    JobState.PROCESSING: Stage.BUILDING,
    JobState.CLEANING: Stage.CLEANING,
}


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job whose host's lease has run out."""

    job: Job
    host: str  # its name
    lease: float  # when that ended
    waits: float  # seconds since then; 0 if the host has let go of it in order
    volumes: str  # the storage that the host shares; empty: the volumes are only there

    @property
    def runs(self) -> bool:
        return self.job.state.status is Status.RUNNING


class Takeovers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def orphans(self) -> tuple[Orphan, ...]:
        """All jobs of hosts that are away, the oldest first; those that finished have nothing to be done."""
        with self._database.read() as connection:
            now = self._database.clock(connection)
            query = sa.select(jobs, hosts.c.name.label("of"), hosts.c.lease, hosts.c.volumes)
            query = query.join(hosts, hosts.c.id == jobs.c.host).where(sa.not_(alive(now)))
            query = query.where(jobs.c.status.not_in([Status.FINISHED, Status.EXPIRED]))
            rows = connection.execute(query.order_by(jobs.c.created))
            return tuple(_orphan(row, now) for row in rows)

    def take(self, job: Job, host: str, actor: str) -> Run | None:
        """Make a job of a host that is away another one's; where it runs, in a new generation of its run.

        None: there is nothing to start, or the job is not an orphan any more.
        """
        with self._database.write() as connection:
            now = self._database.clock(connection)
            present = transition.read(connection, job.id)
            if present.host != job.host or _is_there(connection, job.host, now):
                return None
            if present.state.status is not Status.RUNNING:
                _move(connection, [job.id], host)
                return None
            return _start_again(connection, self._database.now(), present, host, actor)

    def forget(self, name: str, actor: str) -> tuple[Job, ...]:
        """A host is gone for ever; its jobs. They begin anew elsewhere, those that run when they are started.

        NotFoundError; HostError while it is there.
        """
        with self._database.write() as connection:
            now = self._database.clock(connection)
            host = find(connection, now, name)
            if host.alive:
                raise HostError(
                    f"the host {host.name} is there",
                    "stop its rehost first; its lease ends at once then, after a kill within half a minute",
                )
            rows = connection.execute(sa.select(jobs).where(jobs.c.host == host.id))
            left = tuple(map(transition.record, rows))
            for job in left:
                if job.state.status is Status.RUNNING:
                    _fail(connection, self._database.now(), job, host.name, actor)
            _move(connection, [job.id for job in left], "")
            connection.execute(sa.delete(hosts).where(hosts.c.id == host.id))
            return left


def _orphan(row: Any, now: float) -> Orphan:
    waits = now - row.lease if row.lease else 0.0
    return Orphan(transition.record(row), row.of, row.lease, waits, row.volumes)


def _start_again(connection: sa.Connection, now: float, job: Job, host: str, actor: str) -> Run:
    """What is copied is not copied again; an image that is not ready is made anew."""
    after = follow(job.state, Event.TAKE_OVER)
    changes: dict[str, Any] = {"course": way.begun(_STAGES[after], now, expected(connection))}
    if after is JobState.PREPARING:
        changes |= {"result": None, "progress": None}
    last = read(connection, job.current_run)
    assert last is not None, "a job that runs has a run"
    if after is JobState.PROCESSING:
        give_up(connection, last.id, last.generation)
    run = raise_generation(connection, last, host, **changes)
    detail = f"run {run.id}, generation {run.generation}, by host {host} instead of {job.host}"
    transition.move(
        connection, now, job, Event.TAKE_OVER, actor, detail, host=host, status_info="", progress=0.0
    )
    return run


def _fail(connection: sa.Connection, now: float, job: Job, host: str, actor: str) -> None:
    what = f"its host {host} is gone"
    transition.move(connection, now, job, Event.FAIL, actor, what, error_code=HostError.code, status_info="")


def _move(connection: sa.Connection, job_ids: Sequence[str], host: str) -> None:
    connection.execute(jobs.update().where(jobs.c.id.in_(job_ids)).values(host=host))


def _is_there(connection: sa.Connection, host: str, now: float) -> bool:
    query = sa.select(hosts.c.id).where(hosts.c.id == host, alive(now))
    return connection.execute(query).first() is not None
