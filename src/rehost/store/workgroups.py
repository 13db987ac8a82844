"""Workgroups: source servers that are migrated together. A source server is in one of them at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import (
    AlreadyAssociatedError,
    BootCheckError,
    DuplicateWorkgroupNameError,
    NotAssociatedError,
    NotFoundError,
    WorkgroupNotEmptyError,
    WorkgroupQuotaError,
)
from rehost.core.ids import Kind
from rehost.core.job import Status
from rehost.store import tokens
from rehost.store.database import Database, new_id
from rehost.store.events import note
from rehost.store.paging import Listing, Page, Pages
from rehost.store.schema import jobs, source_servers, workgroups
from rehost.store.tags import Tag, Taggable, forget, put, tagged
from rehost.store.tokens import Token

QUOTA = 1000  # workgroups that an account can have

_table = workgroups.c
_sources = source_servers.c


class WorkgroupStatus(StrEnum):
    """How far the newest jobs of its source servers are."""

    NOT_STARTED = "NotStarted"  # none has started
    IN_PROGRESS = "InProgress"
    CUTOVER = "Cutover"  # all that have not finished wait to be cut over
    COMPLETED = "Completed"  # all have finished


class Concern(StrEnum):
    """What is to be looked at in a workgroup."""

    IN_ERROR = "InError"  # the newest job failed
    UNRELATED = "UnRelated"  # there is no job
    NOT_PASSED = "NotPassed"  # the image did not pass its boot check


@dataclass(frozen=True, slots=True)
class Workgroup:
    id: str
    name: str
    description: str
    status: WorkgroupStatus  # at the time of reading
    created: float


@dataclass(frozen=True, slots=True)
class WorkgroupFilter:
    """All conditions hold together; an empty one does not count."""

    ids: Sequence[str] = ()
    name: str = ""
    status: str = ""
    tags: Sequence[Tag] = ()


class Workgroups:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account: str,
        name: str,
        description: str,
        tags: Sequence[Tag],
        token: Token | None,
        actor: str,
        quota: int = QUOTA,
    ) -> str:
        """The id of a new workgroup; with a ClientToken that was used before, of the one that it made.

        IdempotencyError, DuplicateWorkgroupNameError or WorkgroupQuotaError; then nothing has changed.
        """
        with self._database.write() as connection:
            if earlier := tokens.made(connection, account, token):
                return earlier
            _check_name(connection, account, name, "")
            _check_quota(connection, account, quota)
            group, now = new_id(Kind.WORKGROUP), self._database.now()
            row = {"name": name, "description": description, "created": now}
            connection.execute(workgroups.insert().values(id=group, account=account, **row))
            put(connection, account, Taggable.WORKGROUP, group, tags)
            tokens.keep(connection, now, account, token, group)
            note(connection, now, group, actor, "CREATE", name)
            return group

    def find(self, account: str, want: WorkgroupFilter, page: Page) -> Listing[Workgroup]:
        """Newest first."""
        with self._database.read() as connection:
            return Pages(_select(account, want)).fetch(connection, page, _record)

    def concerns(self, account: str, groups: Sequence[str]) -> dict[str, dict[Concern, list[str]]]:
        """For each workgroup what is to be looked at, and the ids of the source servers."""
        query = sa.select(
            _sources.id, _sources.workgroup_id, _newest(jobs.c.status), _newest(jobs.c.error_code)
        ).where(_sources.account == account, _sources.workgroup_id.in_(groups))
        found: dict[str, dict[Concern, list[str]]] = {group: {} for group in groups}
        with self._database.read() as connection:
            for source, group, status, error in connection.execute(query.order_by(_sources.id)):
                warning = _warning(status, error)
                if warning is not None:
                    found[group].setdefault(warning, []).append(source)
        return found

    def modify(self, account: str, group: str, name: str | None, description: str | None, actor: str) -> None:
        """What is None stays. NotFoundError or DuplicateWorkgroupNameError; then nothing has changed."""
        given = {"name": name, "description": description}
        changes = {key: value for key, value in given.items() if value is not None}
        with self._database.write() as connection:
            _check_group(connection, account, group)
            if name is not None:
                _check_name(connection, account, name, group)
            if changes:
                connection.execute(workgroups.update().where(_table.id == group).values(**changes))
                note(connection, self._database.now(), group, actor, "MODIFY", ", ".join(changes))

    def delete(self, account: str, group: str, actor: str) -> None:
        """NotFoundError, or WorkgroupNotEmptyError while source servers are in it."""
        with self._database.write() as connection:
            _check_group(connection, account, group)
            members = sa.select(_sources.id).where(_sources.workgroup_id == group).order_by(_sources.id)
            if there := list(connection.execute(members).scalars()):
                raise WorkgroupNotEmptyError(
                    f"the workgroup {group} has {len(there)} source server(s), {there[0]} is one of them",
                    "delete or disassociate its source servers first",
                )
            connection.execute(sa.delete(workgroups).where(_table.id == group))
            forget(connection, group)
            note(connection, self._database.now(), group, actor, "DELETE")

    def associate(self, account: str, group: str, sources: Sequence[str]) -> None:
        """Put source servers, which are the account's, into a workgroup; those that are in it stay.

        NotFoundError, or AlreadyAssociatedError when one is in another; then nothing has changed.
        """
        with self._database.write() as connection:
            _check_group(connection, account, group)
            for source, now_in in _groups_of(connection, sources):
                if now_in not in ("", group):
                    raise AlreadyAssociatedError(
                        f"the source server {source} is in the workgroup {now_in}",
                        "disassociate it there first: a source server is in one workgroup at most",
                    )
            connection.execute(_of(sources).values(workgroup_id=group))

    def disassociate(self, account: str, group: str, sources: Sequence[str]) -> None:
        """Take source servers out of a workgroup.

        NotFoundError, or NotAssociatedError when one is not in it; then nothing has changed.
        """
        with self._database.write() as connection:
            _check_group(connection, account, group)
            for source, now_in in _groups_of(connection, sources):
                if now_in != group:
                    where = f"in the workgroup {now_in}" if now_in else "in no workgroup"
                    raise NotAssociatedError(
                        f"the source server {source} is {where}", "name those that are in the workgroup"
                    )
            connection.execute(_of(sources).values(workgroup_id=""))


def _check_name(connection: sa.Connection, account: str, name: str, itself: str) -> None:
    query = sa.select(_table.id).where(_table.account == account, _table.name == name, _table.id != itself)
    if other := connection.execute(query).scalar():
        raise DuplicateWorkgroupNameError(f"the workgroup {other} is named {name}", "choose another name")


def _check_quota(connection: sa.Connection, account: str, quota: int) -> None:
    count = sa.select(sa.func.count()).select_from(workgroups).where(_table.account == account)
    if connection.execute(count).scalar_one() >= quota:
        raise WorkgroupQuotaError(f"the account has {quota} workgroups", "delete some that are done")


def _check_group(connection: sa.Connection, account: str, group: str) -> None:
    """Locked, so that a workgroup does not end while source servers enter it."""
    query = sa.select(_table.id).where(_table.id == group, _table.account == account).with_for_update()
    if connection.execute(query).first() is None:
        raise NotFoundError(f"there is no workgroup {group}", "list them with: rehost workgroup list")


def _groups_of(connection: sa.Connection, sources: Sequence[str]) -> list[tuple[str, str]]:
    query = sa.select(_sources.id, _sources.workgroup_id).where(_sources.id.in_(sources))
    rows = connection.execute(query.order_by(_sources.id).with_for_update())
    return [(row.id, row.workgroup_id) for row in rows]


def _of(sources: Sequence[str]) -> sa.Update:
    return source_servers.update().where(_sources.id.in_(sources))


def _newest(column: sa.ColumnElement[str]) -> sa.ScalarSelect[str]:
    """A column of a source server's newest job; null when there is none."""
    query = sa.select(column).where(jobs.c.source_id == _sources.id)
    return query.order_by(jobs.c.created.desc(), jobs.c.id).limit(1).scalar_subquery()


def _counts(account: str) -> sa.Subquery:
    """How many source servers each workgroup has, and how far the newest jobs of how many are."""
    newest = (
        sa.select(_sources.workgroup_id, sa.func.coalesce(_newest(jobs.c.status), "").label("status"))
        .where(_sources.account == account, _sources.workgroup_id != "")
        .subquery()
    )

    def count(name: str, *statuses: str) -> sa.Label[int]:
        return sa.func.sum(sa.case((newest.c.status.in_(statuses), 1), else_=0)).label(name)

    counts = sa.select(
        newest.c.workgroup_id,
        sa.func.count().label("members"),
        count("fresh", "", Status.READY.value),
        count("copied", Status.FINISHED.value, Status.WAITING.value),
        count("finished", Status.FINISHED.value),
    )
    return counts.group_by(newest.c.workgroup_id).subquery()


def _select(account: str, want: WorkgroupFilter) -> sa.Select[Any]:
    """Workgroups with their status, in SQL so that listings can filter by it."""
    counts = _counts(account)
    count = counts.c
    status = sa.case(
        (sa.or_(count.members.is_(None), count.members == count.fresh), WorkgroupStatus.NOT_STARTED.value),
        (count.members == count.finished, WorkgroupStatus.COMPLETED.value),
        (count.members == count.copied, WorkgroupStatus.CUTOVER.value),
        else_=WorkgroupStatus.IN_PROGRESS.value,
    )
    conditions = tagged(_table.id, account, Taggable.WORKGROUP, want.tags)
    if want.ids:
        conditions.append(_table.id.in_(want.ids))
    if want.name:
        conditions.append(_table.name == want.name)
    if want.status:
        conditions.append(status == want.status)
    return (
        sa.select(_table.id, _table.name, _table.description, _table.created, status.label("status"))
        .select_from(workgroups.outerjoin(counts, count.workgroup_id == _table.id))
        .where(_table.account == account, *conditions)
        .order_by(_table.created.desc(), _table.id.desc())
    )


def _warning(status: str | None, error: str | None) -> Concern | None:
    if status is None:
        return Concern.UNRELATED
    if status != Status.IN_ERROR.value:
        return None
    return Concern.NOT_PASSED if error == BootCheckError.code else Concern.IN_ERROR


def _record(row: Any) -> Workgroup:
    return Workgroup(row.id, row.name, row.description, WorkgroupStatus(row.status), row.created)
