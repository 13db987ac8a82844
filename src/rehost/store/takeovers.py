"""What becomes of jobs whose host is away: one with the same storage takes them over, or they begin anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from rehost.core import progress as way
from rehost.core.errors import HostError, NotFoundError
from rehost.core.job import TRANSITIONS, Event, JobState, Status, follow
from rehost.core.progress import Stage
from rehost.store import transition
from rehost.store.database import Database
from rehost.store.events import note
from rehost.store.hosts import Host, alive, everyone, find, reachable
from rehost.store.images import give_up
from rehost.store.runs import IS_PRESENT, Run, expected, place, raise_generation, read
from rehost.store.schema import hosts, jobs, runs
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
    lease: float  # when that ended; 0: it was stopped in order
    away: float  # seconds since then; 0 if it was stopped in order
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
            return _start_again(connection, self._database.now(), present, Event.TAKE_OVER, host, actor)

    def resync(self, job: Job, actor: str) -> Run | None:
        """Let a job whose host is away be copied anew, to another one, where a run that goes on begins again.

        None: it does not run, or is not an orphan any more. NoHostError; InvalidTransitionError for one whose
        image is made already, or that is over: only its host can do the rest.
        """
        with self._database.write() as connection:
            clock, now = self._database.clock(connection), self._database.now()
            present = transition.read(connection, job.id)
            if present.host != job.host or _is_there(connection, job.host, clock):
                return None
            if present.state.status is Status.RUNNING:
                follow(present.state, Event.RESYNC)
                host = place(connection, clock, replace(present, host=""), 0)
                return _start_again(connection, now, present, Event.RESYNC, host, actor)
            if TRANSITIONS.get((present.state, Event.START)) is not JobState.PREPARING:
                follow(present.state, Event.RESYNC)
            _move(connection, [job.id], "")
            detail = f"its next run copies anew, as its host {job.host} is away"
            note(connection, now, job.id, actor, Event.RESYNC.name, detail)
            return None

    def moved_away(self, host: str, generations: Mapping[str, int]) -> tuple[str, ...]:
        """Which replicas of a host are of jobs that go on where its storage is not.

        `generations`: of all that it has, by job.
        """
        mine = sa.select(hosts.c.volumes).where(hosts.c.id == host).scalar_subquery()
        query = sa.select(jobs.c.id, runs.c.generation).join(runs, IS_PRESENT)
        query = query.join(hosts, hosts.c.id == jobs.c.host).where(jobs.c.id.in_(generations))
        query = query.where(hosts.c.id != host, sa.or_(mine == "", hosts.c.volumes != mine))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(job for job, generation in rows if generation > generations[job])

    def left_at(self, name: str, job_ids: Sequence[str] = ()) -> tuple[Job, ...]:
        """The jobs of a host that is away, or those of them that are named.

        NotFoundError; HostError while it is there, or another one has its volumes.
        """
        with self._database.read() as connection:
            now = self._database.clock(connection)
            host = _away(connection, now, name)
            there = everyone(connection, now)
        if host.presence.volumes in reachable(there):
            raise HostError(
                f"other hosts have the volumes of {host.name} too, and take its jobs over",
                "nothing to do: what is copied is not copied again",
            )
        left = tuple(each.job for each in self.orphans() if each.job.host == host.id)
        if strange := set(job_ids) - {job.id for job in left}:
            raise NotFoundError(
                f"the host {host.name} has no unfinished job {', '.join(sorted(strange))}",
                f"see which it has: rehost worker jobs {host.name}",
            )
        return tuple(job for job in left if not job_ids or job.id in job_ids)

    def forget(self, name: str, actor: str) -> tuple[Job, ...]:
        """A host is gone for ever; its jobs. They begin anew elsewhere, those that run when they are started.

        NotFoundError; HostError while it is there.
        """
        with self._database.write() as connection:
            now = self._database.clock(connection)
            host = _away(connection, now, name)
            rows = connection.execute(sa.select(jobs).where(jobs.c.host == host.id))
            left = tuple(map(transition.record, rows))
            for job in left:
                if job.state.status is Status.RUNNING:
                    _fail(connection, self._database.now(), job, host.name, actor)
            _move(connection, [job.id for job in left], "")
            connection.execute(sa.delete(hosts).where(hosts.c.id == host.id))
            return left


def _orphan(row: Any, now: float) -> Orphan:
    away = now - row.lease if row.lease else 0.0
    return Orphan(transition.record(row), row.of, row.lease, away, row.volumes)


def _start_again(connection: sa.Connection, now: float, job: Job, event: Event, host: str, actor: str) -> Run:
    """An image that is not ready is made anew; what is copied is copied again if the event says so."""
    after = follow(job.state, event)
    last = read(connection, job.current_run)
    assert last is not None, "a job that runs has a run"
    course = way.resumed(last.course, _STAGES[after], now, expected(connection))
    changes: dict[str, Any] = {"course": course}
    if after is JobState.PREPARING:
        changes |= {"result": None, "progress": None}
    if job.state is JobState.PROCESSING:
        give_up(connection, last.id, last.generation)
    run = raise_generation(connection, last, host, **changes)
    detail = f"run {run.id}, generation {run.generation}, by host {host} instead of {job.host}"
    progress = job.progress if event is Event.TAKE_OVER else 0.0  # what is done is not copied again
    transition.move(connection, now, job, event, actor, detail, host=host, status_info="", progress=progress)
    return run


def _away(connection: sa.Connection, now: float, name: str) -> Host:
    host = find(connection, now, name)
    if host.alive:
        raise HostError(
            f"the host {host.name} is there",
            "stop its rehost first; its lease ends at once then, after a kill within half a minute",
        )
    return host


def _fail(connection: sa.Connection, now: float, job: Job, host: str, actor: str) -> None:
    what = f"its host {host} is gone"
    transition.move(connection, now, job, Event.FAIL, actor, what, error_code=HostError.code, status_info="")


def _move(connection: sa.Connection, job_ids: Sequence[str], host: str) -> None:
    connection.execute(jobs.update().where(jobs.c.id.in_(job_ids)).values(host=host))


def _is_there(connection: sa.Connection, host: str, now: float) -> bool:
    query = sa.select(hosts.c.id).where(hosts.c.id == host, alive(now))
    return connection.execute(query).first() is not None
