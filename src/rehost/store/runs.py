"""Runs: the executions of a job. A start after a failure is a new generation of the same run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core import progress as way
from rehost.core.agentapi import Assignment, Progress, Result
from rehost.core.errors import InvalidTransitionError, NotFoundError
from rehost.core.ids import Kind
from rehost.core.job import Event, JobState, Status, follow
from rehost.core.placement import bytes_of, choose
from rehost.core.progress import Course, Stage
from rehost.core.server import Inventory
from rehost.store import transition
from rehost.store.database import Database, new_id
from rehost.store.hosts import able, everyone
from rehost.store.room import Room
from rehost.store.schema import jobs, runs, source_servers
from rehost.store.status import copy_info

GO_BY = 5  # runs, the last that ended, whose stages say what those of the next one take

# Of a row of `runs` and one of `jobs`: it is the job's present run.
IS_PRESENT = sa.and_(runs.c.job == jobs.c.id, runs.c.id == jobs.c.current_run)

# Built once: to build it takes longer than to execute it.
_OF_JOBS = sa.select(runs).where(runs.c.job.in_(sa.bindparam("jobs"))).order_by(runs.c.number)

_THESE = sa.select(runs).where(runs.c.id.in_(sa.bindparam("runs", expanding=True)))
_UNDER_WAY = (
    sa.select(runs)
    .join(jobs, IS_PRESENT)
    .where(jobs.c.status == sa.bindparam("running"), jobs.c.host == sa.bindparam("host"))
)
_SOME_UNDER_WAY = _UNDER_WAY.where(runs.c.id.in_(sa.bindparam("some", expanding=True)))


class RunType(StrEnum):
    MANUAL = "Manual"
    SCHEDULE = "Schedule"


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    job: str
    number: int  # from 1
    generation: int  # from 1, rising over all runs of a job: it is what fences writers
    type: RunType
    started: float
    ended: float | None
    image_id: str  # empty until there is one
    progress: Progress | None  # the agent's last word on the copy
    inventory: Inventory | None  # the source's, when the present generation was prepared
    result: Result | None  # the end of the copy, of the present generation
    error: str
    course: Course | None  # how far the present generation is, and what its stages take
    host: str  # that carries the present generation out
    conversion: str  # JSON; empty until there is an image, and of runs of an older rehost
    boot_check: str  # likewise


class Runs:
    def __init__(self, database: Database, room: Room) -> None:
        self._database = database
        self._room = room

    def begin(self, job_id: str, event: Event, kind: RunType, actor: str, detail: str = "") -> Run:
        """Start a job: move it by START, CUT_OVER or CUT_OVER_SYNC, in one transaction.

        It gets its next run, or the next generation of one that has not ended. Where the event leads to
        cleaning, its last run goes on. Its first run begins at the host that has room for it.
        NotFoundError, InvalidTransitionError, NoHostError, or NoRoomError for a START that has to wait; then
        nothing has changed.
        """
        with self._database.write() as connection:
            now, clock = self._database.now(), self._database.clock(connection)
            job = transition.read(connection, job_id)
            follow(job.state, event)
            last = read(connection, job.current_run)
            cleans = follow(job.state, event) is JobState.CLEANING
            limited = event is Event.START and not cleans
            if limited:
                self._room.check(connection, clock, job_id)
            host = place(connection, clock, job, self._room.limits.per_worker if limited else 0)
            course = way.begun(Stage.CLEANING if cleans else Stage.PREPARING, now, expected(connection))
            if last is not None and cleans:
                run = raise_generation(connection, last, host, course=course)
            elif last is not None and last.ended is None:
                run = raise_generation(connection, last, host, course=course, result=None, progress=None)
            else:
                run = _add(connection, job, last, kind, now, course, host)
            transition.move(
                connection, now, job, event, actor, detail,
                current_run=run.id, progress=0.0, error_code="", status_info="", ended=None,
                started=now if job.started is None else job.started,
                cut_over=job.cut_over or event is not Event.START, host=host,
            )  # fmt: skip
            return run

    def apply(self, run: Run, event: Event, actor: str, detail: str = "", **changes: Any) -> transition.Job:
        """Move a run's job as `Jobs.apply` does; InvalidTransitionError if a newer generation has it."""
        with self._database.write() as connection:
            check_generation(connection, run.id, run.generation)
            job = transition.read(connection, run.job)
            return transition.move(connection, self._database.now(), job, event, actor, detail, **changes)

    def get(self, run_id: str) -> Run:
        """NotFoundError when there is none."""
        with self._database.read() as connection:
            run = read(connection, run_id)
        if run is None:
            raise NotFoundError(f"there is no run {run_id}", "its job was deleted")
        return run

    def of_jobs(self, job_ids: Sequence[str]) -> dict[str, tuple[Run, ...]]:
        """The runs of each of the jobs, oldest first."""
        found: dict[str, list[Run]] = {job_id: [] for job_id in job_ids}
        with self._database.read() as connection:
            for row in connection.execute(_OF_JOBS, {"jobs": job_ids}):
                found[row.job].append(_record(row))
        return {job_id: tuple(items) for job_id, items in found.items()}

    def under_way(self, host: str, some: Collection[str] | None = None) -> tuple[Run, ...]:
        """The present runs of a host's jobs that run; `some`: of these runs only."""
        asked = {"host": host, "running": Status.RUNNING.value}
        with self._database.read() as connection:
            if some is None:
                rows = connection.execute(_UNDER_WAY, asked)
            else:
                rows = connection.execute(_SOME_UNDER_WAY, asked | {"some": list(some)})
            return tuple(map(_record, rows))

    def enter(self, run_id: str, stage: Stage) -> None:
        """A stage begins; a repeated call changes nothing."""
        with self._database.write() as connection:
            _enter(connection, _exists(read(connection, run_id)), stage, self._database.now())

    def pass_time(self, run_ids: Sequence[str]) -> None:
        """The progress of stages of which only the time is known; what is over since is left alone."""
        now = self._database.now()
        with self._database.write() as connection:
            for row in connection.execute(_THESE, {"runs": run_ids}).all():
                run = _record(row)
                if run.course is not None and run.course.stage is not Stage.COPYING:
                    _advance(connection, run, run.course, way.by_time(run.course, now))

    def record_result(self, source_id: str, result: Result) -> bool:
        """Keep the end of a copy; the first word counts. False when it tells of what is over."""
        with self._database.write() as connection:
            if _current(connection, source_id, result.run, result.generation) is None:
                return False
            first = runs.update().where(runs.c.id == result.run, runs.c.result.is_(None))
            connection.execute(first.values(result=result))
            return True

    def hand_over(self, assignment: Assignment, inventory: Inventory, instance_id: str, actor: str) -> None:
        """Preparing is done: the source gets its assignment and the job is Syncing, in one transaction.

        The run keeps the inventory that was prepared for: disks may change while the image is made.
        """
        with self._database.write() as connection:
            check_generation(connection, assignment.run, assignment.generation)
            job = transition.read(connection, assignment.job)
            connection.execute(
                source_servers.update()
                .where(source_servers.c.id == job.spec.source_id)
                .values(assignment=assignment, assignment_version=source_servers.c.assignment_version + 1)
            )
            connection.execute(runs.update().where(runs.c.id == assignment.run).values(inventory=inventory))
            now = self._database.now()
            transition.move(
                connection, now, job, Event.PREPARED, actor,
                f"run {assignment.run}, generation {assignment.generation}",
                transition_instance_id=instance_id, status_info="",
            )  # fmt: skip
            _enter(connection, _exists(read(connection, assignment.run)), Stage.COPYING, now)

    def end(self, run_id: str, event: Event, actor: str) -> None:
        """The run is over for good, and its job moves on: the job's next start makes another run."""
        with self._database.write() as connection:
            now = self._database.now()
            run = _exists(read(connection, run_id))
            job = transition.read(connection, run.job)
            transition.move(
                connection,
                now,
                job,
                event,
                actor,
                "",
                progress=100.0,
                status_info=copy_info(run.result),
                ended=now,
            )
            course = run.course and way.ended(run.course, now)
            this = runs.update().where(runs.c.id == run_id)
            connection.execute(this.values(ended=now if run.ended is None else run.ended, course=course))

    def note_error(self, run_id: str, error: str) -> None:
        with self._database.write() as connection:
            connection.execute(runs.update().where(runs.c.id == run_id).values(error=error))

    def note_image(self, run_id: str, image_id: str, conversion: str = "", boot_check: str = "") -> None:
        """With how it was made and how it booted, as JSON."""
        made = {"image_id": image_id, "conversion": conversion, "boot_check": boot_check}
        with self._database.write() as connection:
            connection.execute(runs.update().where(runs.c.id == run_id).values(**made))


def expected(connection: sa.Connection) -> dict[Stage, float]:
    """What stages took in the newest runs of all jobs."""
    query = sa.select(runs.c.course).where(runs.c.ended.is_not(None), runs.c.course.is_not(None))
    newest = query.order_by(runs.c.ended.desc()).limit(GO_BY)
    return way.expected(list(connection.execute(newest).scalars()))


def _enter(connection: sa.Connection, run: Run, stage: Stage, now: float) -> None:
    if run.course is not None:
        _advance(connection, run, way.entered(run.course, stage, now), 0.0)


def _advance(connection: sa.Connection, run: Run, course: Course, fraction: float) -> None:
    """The job's progress, which never falls while a start of a run lasts."""
    percent = way.percent(course, fraction)
    if course != run.course:
        connection.execute(runs.update().where(runs.c.id == run.id).values(course=course))
    shown = sa.and_(jobs.c.id == run.job, jobs.c.current_run == run.id)
    behind = jobs.update().where(shown, jobs.c.progress < percent)
    connection.execute(behind.values(progress=percent))


def place(connection: sa.Connection, now: float, job: transition.Job, most: int) -> str:
    """In the caller's transaction: the host of the job's next run, one that runs fewer than `most`.

    The source's disks tell the room that a first one needs. NoHostError.
    """
    source = sa.select(source_servers.c.inventory).where(source_servers.c.id == job.spec.source_id)
    inventory: Inventory | None = connection.execute(source).scalar_one_or_none()
    chosen = choose(able(everyone(connection, now), job.host, bytes_of(inventory)), most)
    assert chosen is not None, "where none has room for the job it has been told to wait"
    return chosen


def _add(
    connection: sa.Connection,
    job: transition.Job,
    last: Run | None,
    kind: RunType,
    now: float,
    course: Course,
    host: str,
) -> Run:
    run_id = new_id(Kind.RUN)
    number, generation = (0, 0) if last is None else (last.number, last.generation)
    row = {"id": run_id, "job": job.id, "number": number + 1, "generation": generation + 1, "type": kind}
    row |= {"started": now, "image_id": "", "error": "", "course": course, "host": host}
    connection.execute(runs.insert().values(**row))
    return _exists(read(connection, run_id))


def raise_generation(connection: sa.Connection, run: Run, host: str, **changes: Any) -> Run:
    """In the caller's transaction: what the generation before is still at comes to nothing from now on."""
    raised = runs.update().where(runs.c.id == run.id)
    connection.execute(raised.values(generation=run.generation + 1, host=host, error="", **changes))
    return _exists(read(connection, run.id))


def check_generation(connection: sa.Connection, run_id: str, generation: int) -> None:
    """In the caller's transaction: InvalidTransitionError if it is not the run's present one."""
    run = read(connection, run_id)
    if run is None or run.generation != generation:
        raise InvalidTransitionError(
            f"generation {generation} of the run {run_id} is over", "nothing to do: a newer one goes on"
        )


def _exists(run: Run | None) -> Run:
    assert run is not None, "a row that this transaction wrote"
    return run


def _current(
    connection: sa.Connection, source_id: str, run_id: str, generation: int
) -> transition.Job | None:
    """The job whose present run, of this generation, is of this source."""
    query = sa.select(jobs).join(runs, IS_PRESENT)
    query = query.where(jobs.c.source_id == source_id, runs.c.id == run_id, runs.c.generation == generation)
    row = connection.execute(query).first()
    return None if row is None else transition.record(row)


def read(connection: sa.Connection, run_id: str) -> Run | None:
    """In the caller's transaction."""
    row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).first()
    return None if row is None else _record(row)


def _record(row: Any) -> Run:
    return Run(
        id=row.id,
        job=row.job,
        number=row.number,
        generation=row.generation,
        type=RunType(row.type),
        started=row.started,
        ended=row.ended,
        image_id=row.image_id,
        progress=row.progress,
        inventory=row.inventory,
        result=row.result,
        error=row.error,
        course=row.course,
        host=row.host,
        conversion=row.conversion,
        boot_check=row.boot_check,
    )
