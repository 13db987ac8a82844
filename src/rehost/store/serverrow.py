"""A source server as it is read: its row, the one rule of its state, and the filters of listings."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from rehost.core.clones import Bearers
from rehost.core.job import Status
from rehost.core.server import Inventory, ServerState
from rehost.store.assignments import unknown
from rehost.store.paging import Pages, all_of
from rehost.store.schema import jobs, source_servers
from rehost.store.tags import Tag

HEARTBEAT_RATE = 30  # seconds; what a new source server is told
MISSED_HEARTBEATS = 3  # in a row, before a source server counts as offline

_table = source_servers.c
_other = source_servers.alias("other").c


@dataclass(frozen=True, slots=True)
class SourceServer:
    id: str
    account: str
    name: str
    description: str
    state: ServerState  # at the time of reading
    offline: bool  # three heartbeats were missed; then also the state is Unavailable
    inventory: Inventory
    system_info: str
    agent_version: str
    heartbeat: float  # when the last one came
    heartbeat_rate: int
    error_code: str  # as the agent reports it
    error_msg: str
    job_id: str  # the newest job; empty: none yet
    created: float
    workgroup_id: str  # empty: in none
    resource_group_id: str
    bearers: Bearers | None  # who shows its identity; None: its agent does not tell


@dataclass(frozen=True, slots=True)
class ServerFilter:
    """All conditions hold together; an empty one does not count."""

    ids: Sequence[str] = ()
    job_id: str = ""
    name: str = ""
    state: str = ""
    workgroup_id: str = ""
    resource_group_id: str = ""
    job_types: Sequence[int] = ()  # has a job of one of these types
    tags: Sequence[Tag] = ()


def read(connection: sa.Connection, server_id: str, now: float) -> SourceServer:
    """A source server inside the caller's transaction; NotFoundError when there is none."""
    row = connection.execute(_ONE, {"now": now, "server_id": server_id}).first()
    if row is None:
        raise unknown(server_id)
    return record(row)


def _param(name: str) -> sa.BindParameter[str]:
    return sa.bindparam(name, type_=sa.String)


_ACCOUNT, _NOW = _param("account"), sa.bindparam("now", type_=sa.Float)  # what statements leave open

offline = _table.heartbeat + MISSED_HEARTBEATS * _table.heartbeat_rate < _NOW
"""Of a row of `source_servers`."""

_RUNNING = sa.exists().where(jobs.c.source_id == _table.id, jobs.c.status == Status.RUNNING.value)
state = sa.case(
    (_table.deleting, ServerState.DELETING.value),
    (sa.or_(offline, _table.error_code != ""), ServerState.UNAVAILABLE.value),
    (_RUNNING, ServerState.IN_USE.value),
    else_=ServerState.AVAILABLE.value,
)
"""The one rule of a source server's state, in SQL so that listings can filter by it."""


def _select() -> sa.Select[Any]:
    """The columns are the fields of SourceServer in their order."""
    newest = sa.select(jobs.c.id).where(jobs.c.source_id == _table.id)
    newest = newest.order_by(jobs.c.created.desc(), jobs.c.id).limit(1)
    columns: dict[str, sa.ColumnElement[Any]] = {
        **dict(_table.items()),
        "job_id": sa.func.coalesce(newest.scalar_subquery(), "").label("job_id"),
        "state": state.label("state"),
        "offline": offline.label("offline"),
    }
    return sa.select(*(columns[field.name] for field in fields(SourceServer)))


# Built once: to build them takes longer than to execute them.
_ALL = _select()
_ONE = _ALL.where(_table.id == sa.bindparam("server_id"))


@lru_cache(maxsize=256)
def pages(given: frozenset[str], wanted: str) -> Pages:
    """Newest first: an account's source servers in the `wanted` state, in any if that is empty, that meet the
    `given` conditions of ServerFilter, tags excepted. It leaves `account`, `now` and these open."""
    query = _ALL.where(*_mine(wanted), *(_CONDITIONS[name] for name in _CONDITIONS if name in given))
    query = query.order_by(_table.created.desc(), _table.id.desc())
    return Pages(query, None if given else all_of(source_servers))


def _mine(wanted: str) -> list[sa.ColumnElement[bool]]:
    """An account's source servers, all or those in a state.

    Where few are in a state they are looked up by an index, and only these are held against the rule.

    All that are Available have to be counted.
    """
    if not wanted:
        return [_table.account == _ACCOUNT]
    running = sa.select(jobs.c.source_id).where(
        jobs.c.account == _ACCOUNT, jobs.c.status == Status.RUNNING.value
    )
    latest = _NOW - MISSED_HEARTBEATS * HEARTBEAT_RATE  # no source server is told to come more often
    few = {
        ServerState.DELETING.value: (sa.select(_other.id).where(_other.deleting),),
        ServerState.IN_USE.value: (running,),
        ServerState.UNAVAILABLE.value: (
            sa.select(_other.id).where(_other.heartbeat < latest),
            sa.select(_other.id).where(_other.error_code != ""),
        ),
    }
    if wanted not in few:
        return [_table.account == _ACCOUNT, state == wanted]
    mine = _table.account.concat("") == _ACCOUNT  # not by the account's index: it has all of its sources
    return [mine, state == wanted, _table.id.in_(sa.union(*few[wanted]))]


_CONDITIONS: dict[str, sa.ColumnElement[bool]] = {
    "ids": _table.id.in_(sa.bindparam("ids")),
    "job_id": _table.id.in_(sa.select(jobs.c.source_id).where(jobs.c.id == _param("job_id"))),
    "name": _table.name == _param("name"),
    "workgroup_id": _table.workgroup_id == _param("workgroup_id"),
    "resource_group_id": _table.resource_group_id == _param("resource_group_id"),
    "job_types": sa.exists().where(
        jobs.c.source_id == _table.id, jobs.c.job_type.in_(sa.bindparam("job_types"))
    ),
}

_STATE = SourceServer.__slots__.index("state")


def record(row: Any) -> SourceServer:
    """By the columns' places: by their names it takes several times as long."""
    values = list(row)
    values[_STATE] = ServerState(values[_STATE])
    return SourceServer(*values)
