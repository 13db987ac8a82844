"""Replication jobs: made once, moved by events, found by filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import (
    DuplicateNameError,
    QuotaExceededError,
    SourceServerStateError,
)
from rehost.core.job import TRANSITIONS, UNFINISHED, Event, JobState
from rehost.core.server import ServerState
from rehost.store import serverrow, tokens, transition
from rehost.store.assignments import unknown
from rehost.store.database import Database
from rehost.store.events import REMOVED, note
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Listing, Page, Pages, all_of, given
from rehost.store.schedule import HOUR, first_is_due, next_is_due
from rehost.store.schema import jobs, source_servers
from rehost.store.tags import Tag, Taggable, forget, put, tagged
from rehost.store.tokens import Token
from rehost.store.transition import SPEC_COLUMNS, Job

QUOTA = 1000  # jobs that an account can have
EXPIRED_KEPT = 7 * 24 * HOUR  # seconds from a job's expiry to its deletion


@dataclass(frozen=True, slots=True)
class JobFilter:
    """All conditions hold together; an empty one does not count."""

    job_ids: Sequence[str] = ()
    source_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    name: str = ""
    region: str = ""
    status: str = ""
    business_status: str = ""
    resource_group_id: str = ""
    job_type: int | None = None
    tags: Sequence[Tag] = ()


class Jobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account: str,
        spec: JobSpec,
        token: Token | None,
        actor: str,
        quota: int = QUOTA,
        tags: Sequence[Tag] = (),
    ) -> Job:
        """A new job in state Ready; with a ClientToken that was used before, the job that it made.

        IdempotencyError, NotFoundError (source), SourceServerStateError, DuplicateNameError or
        QuotaExceededError; then nothing has changed.
        """
        with self._database.write() as connection:
            if earlier := tokens.made(connection, account, token):
                return transition.read(connection, earlier)
            now = self._database.now()
            _check(connection, account, spec, now, quota)
            job = transition.add(connection, now, account, spec, actor)
            put(connection, account, Taggable.JOB, job.id, tags)
            tokens.keep(connection, now, account, token, job.id)
            return job

    def modify(self, job_id: str, change: Callable[[Job], JobSpec], actor: str, detail: str) -> Job:
        """Give a job what `change` makes of it, in one transaction; whatever that raises changes nothing.

        NotFoundError or DuplicateNameError.
        """
        with self._database.write() as connection:
            job = transition.read(connection, job_id)
            spec = change(job)
            if spec.name != job.spec.name:
                _check_name(connection, job.account, spec.name)
            columns = {name: getattr(spec, name) for name in SPEC_COLUMNS}
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(**columns))
            note(connection, self._database.now(), job_id, actor, "MODIFY", detail)
            return transition.read(connection, job_id)

    def get(self, job_id: str) -> Job:
        """NotFoundError when there is none."""
        with self._database.read() as connection:
            return transition.read(connection, job_id)

    def find(self, account: str, want: JobFilter, page: Page) -> Listing[Job]:
        """Newest first."""
        having = tagged(jobs.c.id, account, Taggable.JOB, want.tags)
        asked = given(want)
        pages = _pages(frozenset(asked)).where(*having)
        with self._database.read() as connection:
            return pages.fetch(connection, page, transition.record, {**asked, "account": account})

    def in_states(self, *states: JobState, hosts: Sequence[str] | None = None) -> tuple[Job, ...]:
        """All jobs of all accounts in one of the states; of some hosts only, where "" are those of none."""
        return self._in_states(states, *(() if hosts is None else (jobs.c.host.in_(hosts),)))

    def _in_states(self, states: Sequence[JobState], *conditions: sa.ColumnElement[bool]) -> tuple[Job, ...]:
        query = sa.select(jobs).where(sa.or_(*map(transition.is_in, states)), *conditions)
        with self._database.read() as connection:
            return tuple(map(transition.record, connection.execute(query.order_by(jobs.c.created))))

    def with_images(self, host: str) -> tuple[Job, ...]:
        """A host's jobs that keep so many images and rest: what was in use at the end of their last run has
        still to go."""
        periodic = sa.and_(jobs.c.run_once.is_(False), jobs.c.max_images.is_not(None))
        rest = (JobState.WAITING, JobState.FINISHED, JobState.EXPIRED)
        return self._in_states(rest, periodic, jobs.c.host == host)

    def of_source(self, source_id: str) -> tuple[Job, ...]:
        query = sa.select(jobs).where(jobs.c.source_id == source_id).order_by(jobs.c.created)
        with self._database.read() as connection:
            return tuple(map(transition.record, connection.execute(query)))

    def due(self) -> tuple[Job, ...]:
        """The jobs whose scheduled start has come, and those whose last run ended `frequency` hours ago,
        without those that wait for room already."""
        now = self._database.now()
        is_due = sa.or_(first_is_due(now), next_is_due(now))
        query = sa.select(jobs).where(is_due, jobs.c.wanted.is_(None))
        with self._database.read() as connection:
            return tuple(map(transition.record, connection.execute(query)))

    def expired(self) -> tuple[Job, ...]:
        """The jobs that are past their ValidTime and rest: what runs ends its run first."""
        resting = [state for state in JobState if (state, Event.EXPIRE) in TRANSITIONS]
        return self._in_states(resting, jobs.c.valid_until <= self._database.now())

    def outlived(self) -> tuple[Job, ...]:
        """The expired jobs that were kept for as long as such are kept."""
        return self._in_states([JobState.EXPIRED], jobs.c.ended <= self._database.now() - EXPIRED_KEPT)

    def apply(self, job_id: str, event: Event, actor: str, detail: str = "", **changes: Any) -> Job:
        """Move a job by an event, and change columns with it, in one transaction.

        NotFoundError or InvalidTransitionError; then nothing has changed.
        """
        with self._database.write() as connection:
            job = transition.read(connection, job_id)
            return transition.move(connection, self._database.now(), job, event, actor, detail, **changes)

    def report(self, job_id: str, run: str, state: JobState, status_info: str) -> None:
        """Say what a run's job does in a state; a late report is dropped."""
        mine = jobs.update().where(jobs.c.id == job_id, jobs.c.current_run == run)
        update = mine.where(transition.is_in(state))
        with self._database.write() as connection:
            connection.execute(update.values(status_info=status_info))

    def remove(self, job_id: str) -> None:
        """The end of a job that is Deleting; its runs and tags go with it, its events stay."""
        with self._database.write() as connection:
            gone = sa.delete(jobs).where(jobs.c.id == job_id, transition.is_in(JobState.DELETING))
            if connection.execute(gone).rowcount:
                forget(connection, job_id)
                note(connection, self._database.now(), job_id, "rehost", REMOVED)


def _grounds() -> sa.Select[Any]:
    """All that a new job depends on, in one look."""
    account, name = sa.bindparam("account", type_=sa.String), sa.bindparam("name", type_=sa.String)
    unfinished = sa.or_(*(jobs.c.status == status.value for status in UNFINISHED))
    other = sa.select(jobs.c.id).where(jobs.c.source_id == source_servers.c.id, unfinished).limit(1)
    named = sa.select(jobs.c.id).where(jobs.c.account == account, jobs.c.name == name)
    mine = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.account == account)
    return sa.select(
        source_servers.c.account,
        serverrow.state.label("state"),
        other.scalar_subquery().label("other"),
        named.scalar_subquery().label("named"),
        mine.scalar_subquery().label("mine"),
    ).where(source_servers.c.id == sa.bindparam("source_id"))


# Built once: to build it takes longer than to execute it.
_GROUNDS = _grounds()


def _check(connection: sa.Connection, account: str, spec: JobSpec, now: float, quota: int) -> None:
    name = spec.name or None  # NULL is no job's name: all that have none would be looked at
    asked = {"account": account, "name": name, "now": now, "source_id": spec.source_id}
    found = connection.execute(_GROUNDS, asked).first()
    if found is None or found.account != account:
        raise unknown(spec.source_id)
    _check_source(spec.source_id, found.state, found.other)
    if found.named is not None:
        raise _taken(spec.name)
    if found.mine >= quota:
        raise QuotaExceededError(f"the account has {quota} replication jobs", "delete finished ones")


def _check_name(connection: sa.Connection, account: str, name: str) -> None:
    named = sa.select(jobs.c.id).where(jobs.c.account == account, jobs.c.name == name)
    if name and connection.execute(named).first() is not None:
        raise _taken(name)


def _taken(name: str) -> DuplicateNameError:
    return DuplicateNameError(f"there is a replication job named {name}", "choose another name")


def _check_source(source_id: str, state: str, other: str | None) -> None:
    if other is not None:
        raise SourceServerStateError(
            f"the source server {source_id} has the unfinished job {other}", "finish or delete that job first"
        )
    if state != ServerState.AVAILABLE:
        raise SourceServerStateError(
            f"the source server {source_id} is {state}",
            "see that its agent runs and reaches the control plane: rehost source show",
        )


@lru_cache(maxsize=256)
def _pages(given: frozenset[str]) -> Pages:
    """Newest first: an account's jobs that meet the given conditions of JobFilter, tags excepted."""
    mine = jobs.c.account == sa.bindparam("account", type_=sa.String)
    query = sa.select(jobs).where(mine, *chain.from_iterable(map(_conditions, sorted(given - {"tags"}))))
    query = query.order_by(jobs.c.created.desc(), jobs.c.id.desc())
    return Pages(query, None if given else all_of(jobs))


def _conditions(name: str) -> tuple[sa.ColumnElement[bool], ...]:
    lists = {"job_ids": jobs.c.id, "source_ids": jobs.c.source_id, "instance_ids": jobs.c.instance_id}
    if name in lists:
        return (lists[name].in_(sa.bindparam(name)),)
    column = jobs.c[name]
    meets = column == sa.bindparam(name, type_=column.type)
    if isinstance(column.type, sa.String):
        return meets, column != ""  # the databases see then that an index of what is given is enough
    return (meets,)
