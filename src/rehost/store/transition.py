"""A job's row, and the one way in which its state changes."""

from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import InvalidTransitionError, NotFoundError
from rehost.core.ids import Kind
from rehost.core.job import OVER, Event, JobState, follow, state_of
from rehost.store.assignments import take_back
from rehost.store.database import new_id
from rehost.store.events import note
from rehost.store.jobspec import JobSpec
from rehost.store.schema import jobs, source_servers

# Built once: to build them takes longer than to execute them.
_ONE = sa.select(jobs).where(jobs.c.id == sa.bindparam("job_id"))
_INSERT = jobs.insert()

SPEC_COLUMNS = tuple(field.name for field in fields(JobSpec))


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    account: str
    spec: JobSpec
    state: JobState
    error_code: str
    status_info: str  # JSON
    progress: float  # per cent, only growing within a start of a run
    image_id: str
    transition_instance_id: str
    current_run: str  # empty before the first start
    cut_over: bool  # after its present run it is Finished, and does not wait for another one
    host: str  # that has its volumes; empty before the first start
    created: float
    started: float | None
    ended: float | None
    wanted_type: str  # the type of the run that begins when there is room; empty: none waits for it


_OWN_COLUMNS = tuple(name for name in Job.__slots__ if name not in ("spec", "state"))

# A row's columns by their places: by their names it takes several times as long.
_place = jobs.c.keys().index
_spec_of = itemgetter(*map(_place, SPEC_COLUMNS))
_own_of = itemgetter(*map(_place, ("id", "account", "status", "business_status", *_OWN_COLUMNS[2:])))


def is_in(state: JobState) -> sa.ColumnElement[bool]:
    """Of a row of `jobs`."""
    return sa.and_(jobs.c.status == state.status.value, jobs.c.business_status == state.business.value)


def add(connection: sa.Connection, now: float, account: str, spec: JobSpec, actor: str) -> Job:
    """A new job in state Ready, with an event row."""
    job = Job(
        id=new_id(Kind.JOB),
        account=account,
        spec=spec,
        state=JobState.READY,
        error_code="",
        status_info="",
        progress=0.0,
        image_id="",
        transition_instance_id="",
        current_run="",
        cut_over=False,
        host="",
        created=now,
        started=None,
        ended=None,
        wanted_type="",
    )
    connection.execute(_INSERT, _columns(job))
    note(connection, now, job.id, actor, "CREATE", f"of {spec.source_id}", job.state.text)
    return job


def read(connection: sa.Connection, job_id: str) -> Job:
    """A job inside the caller's transaction; NotFoundError when there is none."""
    row = connection.execute(_ONE, {"job_id": job_id}).first()
    if row is None:
        raise NotFoundError(f"there is no replication job {job_id}", "list them with: rehost job list")
    return record(row)


def move(
    connection: sa.Connection, now: float, job: Job, event: Event, actor: str, detail: str, **changes: Any
) -> Job:
    """Take a job through an event of the transition table, with an event row.

    A source has a run's assignment while its job is Syncing, and no moment longer.

    InvalidTransitionError when the table has no row for the job's state, or when another process was faster.
    """
    new = follow(job.state, event)
    update = jobs.update().where(jobs.c.id == job.id, is_in(job.state))
    changed = connection.execute(
        update.values(
            status=new.status, business_status=new.business, wanted=None, wanted_type=None, **changes
        )
    ).rowcount
    if not changed:
        raise InvalidTransitionError(f"the job {job.id} changed at the same time", "look at it and try again")
    note(connection, now, job.id, actor, event.name, detail, new.text)
    if job.state is JobState.SYNCING:
        take_back(connection, job.spec.source_id, job.current_run)
    if new.status in OVER:
        _tell_source(connection, job.spec.source_id)
    return read(connection, job.id)


def _tell_source(connection: sa.Connection, source_id: str) -> None:
    """Its agent keeps what a later run of the job would have built on, see `AssignmentAnswer.keep`."""
    told = source_servers.update().where(source_servers.c.id == source_id)
    connection.execute(told.values(assignment_version=source_servers.c.assignment_version + 1))


def _columns(job: Job) -> dict[str, Any]:
    state = {"status": job.state.status, "business_status": job.state.business}
    asked = {name: getattr(job.spec, name) for name in SPEC_COLUMNS}
    return {name: getattr(job, name) for name in _OWN_COLUMNS} | state | asked


def record(row: Any) -> Job:
    """Of a row that has the columns of `jobs`, as they are in the table."""
    job_id, account, status, business, *rest = _own_of(row)
    rest[-1] = rest[-1] or ""  # wanted_type
    return Job(job_id, account, JobSpec(*_spec_of(row)), state_of(status, business), *rest)
