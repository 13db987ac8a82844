"""Tags of resources: key and value, a few for each resource, found by index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from rehost.core.errors import TaggedResourceError, TooManyTagsError
from rehost.store.database import Database
from rehost.store.schema import jobs, source_servers, tags, workgroups

MOST_TAGS = 20  # of a resource

_table = tags.c


class Taggable(StrEnum):
    """The kinds of resources that have tags, as the API calls them."""

    SOURCE = "sourceserver"
    JOB = "replicationjob"
    WORKGROUP = "workgroup"


# Built once: to build it takes longer than to execute it.
_OF = sa.select(tags).where(_table.resource.in_(sa.bindparam("resources"))).order_by(_table.key)

_TABLES = {Taggable.SOURCE: source_servers, Taggable.JOB: jobs, Taggable.WORKGROUP: workgroups}


@dataclass(frozen=True, slots=True)
class Tag:
    """Of a resource; as a condition, an empty value stands for any."""

    key: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class TagRow:
    """One tag of one resource. Rows are ordered by resource and key."""

    resource: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class TagFilter:
    """All conditions hold together; an empty one does not count."""

    kind: Taggable
    resources: Sequence[str] = ()
    tags: Sequence[Tag] = ()


class Tags:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: str, kind: Taggable, resources: Sequence[str], new: Sequence[Tag]) -> None:
        """Give all resources all tags; a key that is there gets the new value.

        TaggedResourceError or TooManyTagsError; then nothing has changed.
        """
        with self._database.write() as connection:
            _check(connection, account, kind, resources)
            for resource in resources:
                put(connection, account, kind, resource, new)

    def remove(
        self, account: str, kind: Taggable, resources: Sequence[str], keys: Sequence[str] | None
    ) -> None:
        """Take tags with these keys, or all, from all resources; what is not there is no error.

        TaggedResourceError; then nothing has changed.
        """
        gone = sa.delete(tags).where(_table.resource.in_(resources))
        if keys is not None:
            gone = gone.where(_table.key.in_(keys))
        with self._database.write() as connection:
            _check(connection, account, kind, resources)
            connection.execute(gone)

    def of(self, resources: Sequence[str]) -> dict[str, tuple[Tag, ...]]:
        """The tags of each resource, by key."""
        found: dict[str, list[Tag]] = {resource: [] for resource in resources}
        with self._database.read() as connection:
            for row in connection.execute(_OF, {"resources": resources}):
                found[row.resource].append(Tag(row.key, row.value))
        return {resource: tuple(items) for resource, items in found.items()}

    def find(self, account: str, want: TagFilter, after: tuple[str, str], most: int) -> tuple[TagRow, ...]:
        """The first rows after a resource and key: whatever comes and goes meanwhile, a row that stays is
        found once when each call goes on after the last row of the one before.

        TaggedResourceError for resources that are not there.
        """
        query = sa.select(tags).where(
            _table.account == account,
            _table.kind == want.kind.value,
            sa.tuple_(_table.resource, _table.key) > sa.tuple_(*map(sa.literal, after)),
            *tagged(_table.resource, account, want.kind, want.tags),
        )
        if want.resources:
            query = query.where(_table.resource.in_(want.resources))
        with self._database.read() as connection:
            _check(connection, account, want.kind, want.resources)
            rows = connection.execute(query.order_by(_table.resource, _table.key).limit(most))
            return tuple(TagRow(row.resource, row.key, row.value) for row in rows)


def tagged(
    resource: sa.ColumnElement[str], account: str, kind: Taggable, want: Iterable[Tag]
) -> list[sa.ColumnElement[bool]]:
    """Conditions for a query: the resource has all of these tags."""
    conditions: list[sa.ColumnElement[bool]] = []
    for tag in want:
        having = sa.select(_table.resource).where(
            _table.account == account, _table.kind == kind.value, _table.key == tag.key
        )
        conditions.append(resource.in_(having.where(_table.value == tag.value) if tag.value else having))
    return conditions


def put(connection: sa.Connection, account: str, kind: Taggable, resource: str, new: Sequence[Tag]) -> None:
    """Give a resource tags in the caller's transaction; TooManyTagsError when there would be too many."""
    if not new:
        return
    keys = [tag.key for tag in new]
    connection.execute(sa.delete(tags).where(_table.resource == resource, _table.key.in_(keys)))
    count = sa.select(sa.func.count()).select_from(tags).where(_table.resource == resource)
    there = connection.execute(count).scalar_one()
    if there + len(new) > MOST_TAGS:
        raise TooManyTagsError(
            f"the resource {resource} would have {there + len(new)} tags",
            f"a resource has at most {MOST_TAGS} tags",
        )
    rows = [
        {"resource": resource, "account": account, "kind": kind.value, "key": tag.key, "value": tag.value}
        for tag in new
    ]
    connection.execute(tags.insert(), rows)


def tags_of(connection: sa.Connection, resource: str) -> set[Tag]:
    """The tags of a resource, in the caller's transaction."""
    query = sa.select(_table.key, _table.value).where(_table.resource == resource)
    return {Tag(row.key, row.value) for row in connection.execute(query)}


def forget(connection: sa.Connection, resource: str) -> None:
    """A resource ends, and its tags with it."""
    connection.execute(sa.delete(tags).where(_table.resource == resource))


def _check(connection: sa.Connection, account: str, kind: Taggable, resources: Sequence[str]) -> None:
    table = _TABLES[kind]
    query = sa.select(table.c.id).where(table.c.id.in_(resources), table.c.account == account)
    there = set(connection.execute(query).scalars())
    if missing := [resource for resource in resources if resource not in there]:
        raise TaggedResourceError(f"there is no {kind} {', '.join(missing)}", "list what is there")
