"""Source servers: identities of agents, what they tell of their machines, and what they are asked to do."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from rehost.core.agentapi import Assignment, Heartbeat, Register
from rehost.core.errors import AgentIdentityError, NotFoundError
from rehost.core.ids import Kind
from rehost.core.job import Status
from rehost.core.server import Inventory, ServerState
from rehost.store import codes
from rehost.store.database import Database, new_id
from rehost.store.events import note
from rehost.store.paging import Listing, Page, fetch
from rehost.store.schema import jobs, source_servers

HEARTBEAT_RATE = 30  # seconds; what a new source server is told
MISSED_HEARTBEATS = 3  # in a row, before a source server counts as offline

_MANY = 500
Moment = float | sa.ColumnElement[float]

_table = source_servers.c


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


@dataclass(frozen=True, slots=True)
class ServerFilter:
    """All conditions hold together; an empty one does not count."""

    ids: Sequence[str] = ()
    job_id: str = ""
    name: str = ""
    state: str = ""


class SourceServers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, request: Register) -> SourceServer:
        """Redeem the activation code for an identity; the same secret gets the same identity again.

        ActivationCodeError when the code is not good, and the secret is not one that is known.
        """
        secret_hash = hash_secret(request.secret)
        with self._database.write() as connection:
            known = connection.execute(
                sa.select(_table.id).where(_table.secret_hash == secret_hash)
            ).scalar_one_or_none()
            server_id = known or self._add(connection, request, secret_hash)
        return self.get(server_id)

    def _add(self, connection: sa.Connection, request: Register, secret_hash: str) -> str:
        now = self._database.now()
        account = codes.redeem(connection, request.code, now)
        server_id = new_id(Kind.SOURCE)
        connection.execute(
            source_servers.insert().values(
                id=server_id,
                account=account,
                secret_hash=secret_hash,
                name=request.inventory.hostname,
                description=f"Source server registered by its agent. Hostname: {request.inventory.hostname}",
                deleting=False,
                inventory=request.inventory,
                system_info="",
                agent_version=request.agent_version,
                heartbeat=now,
                heartbeat_rate=HEARTBEAT_RATE,
                error_code="",
                error_msg="",
                assignment_version=1,
                created=now,
            )
        )
        note(connection, now, server_id, server_id, "REGISTER", request.inventory.hostname)
        return server_id

    def authenticate(self, server_id: str, secret: str) -> SourceServer:
        """The source server of an agent's credentials; AgentIdentityError when they are not good."""
        query = sa.select(_table.secret_hash).where(_table.id == server_id)
        with self._database.read() as connection:
            kept = connection.execute(query).scalar_one_or_none()
        if kept is None or not hmac.compare_digest(kept, hash_secret(secret)):
            raise AgentIdentityError(
                "the control plane does not know this agent's identity",
                "the source server was deleted or never registered here: register it again",
            )
        return self.get(server_id)

    def get(self, server_id: str) -> SourceServer:
        """NotFoundError when there is none."""
        with self._database.read() as connection:
            return read(connection, server_id, self._database.now())

    def find(self, account: str, want: ServerFilter, page: Page) -> Listing[SourceServer]:
        """Newest first."""
        now = self._database.now()
        query = _select(now).where(_table.account == account, *_conditions(want, now))
        query = query.order_by(_table.created.desc(), _table.id.desc())
        with self._database.read() as connection:
            return fetch(connection, query, page, _record)

    def heartbeat(self, server_id: str, beat: Heartbeat) -> None:
        """NotFoundError when there is none."""
        if server_id in self.heartbeats({server_id: beat}):
            raise _unknown(server_id)

    def heartbeats(self, beats: Mapping[str, Heartbeat | None]) -> frozenset[str]:
        """Those of many, in one transaction: None says the same as the one before. The ids of those that are
        not there."""
        now = self._database.now()
        told = [_beat(server_id, beat) for server_id, beat in beats.items() if beat is not None]
        with self._database.write() as connection:
            there = connection.execute(sa.select(_table.id).where(_table.id.in_(beats))).scalars()
            gone = frozenset(beats) - frozenset(there)
            alive = source_servers.update().where(_table.id.in_(beats)).values(heartbeat=now)
            connection.execute(alive)
            if told:
                connection.execute(_of(sa.bindparam("of")).values(_TOLD), told)
        return gone

    def describe(self, server_id: str, name: str, description: str) -> None:
        """Give a source server another name and description."""
        self._update(server_id, name=name, description=description)

    def mark_deleting(self, server_id: str) -> None:
        self._update(server_id, deleting=True)

    def remove(self, server_id: str) -> None:
        """The agent's identity ends with the row; a repeated call does nothing."""
        with self._database.write() as connection:
            connection.execute(sa.delete(source_servers).where(_table.id == server_id))

    def assignment(self, server_id: str) -> tuple[int, Assignment | None]:
        """What the agent has to do, and its version; NotFoundError when there is no such source."""
        query = sa.select(_table.assignment_version, _table.assignment).where(_table.id == server_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _unknown(server_id)
        return row.assignment_version, row.assignment

    def assignment_versions(self, server_ids: Sequence[str]) -> dict[str, int]:
        """Of those that are there, in one query: what one ticker asks for all long polls of a process.

        Of many it is quicker to go through the index of all versions than to look for each.
        """
        query = sa.select(_table.id, _table.assignment_version)
        if len(server_ids) <= _MANY:
            query = query.where(_table.id.in_(server_ids))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def assign(self, server_id: str, assignment: Assignment) -> None:
        self._update(server_id, assignment=assignment, assignment_version=_table.assignment_version + 1)

    def withdraw(self, server_id: str, run: str) -> None:
        """Take a run's assignment back; another run's stays, and a source that is gone is no error."""
        with self._database.write() as connection:
            query = sa.select(_table.assignment).where(_table.id == server_id)
            assignment = connection.execute(query).scalar_one_or_none()
            if assignment is not None and assignment.run == run:
                version = _table.assignment_version + 1
                connection.execute(_of(server_id).values(assignment=None, assignment_version=version))

    def readdress(self, server_id: str, run: str, host: str, port: int) -> None:
        """Tell the agent that carries a run out where the data plane is now, if it is not where it was."""
        with self._database.write() as connection:
            query = sa.select(_table.assignment).where(_table.id == server_id)
            old = connection.execute(query).scalar_one_or_none()
            if old is None or old.run != run or (old.receiver_host, old.receiver_port) == (host, port):
                return
            new = replace(old, receiver_host=host, receiver_port=port)
            version = _table.assignment_version + 1
            connection.execute(_of(server_id).values(assignment=new, assignment_version=version))

    def emptied(self) -> tuple[str, ...]:
        """The source servers that are Deleting and have no job left."""
        with_jobs = sa.exists().where(jobs.c.source_id == _table.id)
        query = sa.select(_table.id).where(_table.deleting, sa.not_(with_jobs))
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def _update(self, server_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            if not connection.execute(_of(server_id).values(**values)).rowcount:
                raise _unknown(server_id)


def read(connection: sa.Connection, server_id: str, now: float) -> SourceServer:
    """A source server inside the caller's transaction; NotFoundError when there is none."""
    row = connection.execute(_ONE, {"now": now, "server_id": server_id}).first()
    if row is None:
        raise _unknown(server_id)
    return _record(row)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_TOLD: dict[str, Any] = {
    name: sa.bindparam(name)
    for name in ("inventory", "system_info", "agent_version", "error_code", "error_msg")
}


def _beat(server_id: str, beat: Heartbeat) -> dict[str, Any]:
    return {"of": server_id, **{name: getattr(beat, name) for name in _TOLD}}


def _of(server_id: Any) -> sa.Update:
    return source_servers.update().where(_table.id == server_id)


def _unknown(server_id: str) -> NotFoundError:
    return NotFoundError(f"there is no source server {server_id}", "list them with: rehost source list")


def _offline(now: Moment) -> sa.ColumnElement[bool]:
    return _table.heartbeat + MISSED_HEARTBEATS * _table.heartbeat_rate < now


def _state(now: Moment) -> sa.ColumnElement[str]:
    """The one rule of a source server's state, in SQL so that listings can filter by it."""
    running = sa.exists().where(jobs.c.source_id == _table.id, jobs.c.status == Status.RUNNING.value)
    return sa.case(
        (_table.deleting, ServerState.DELETING.value),
        (sa.or_(_offline(now), _table.error_code != ""), ServerState.UNAVAILABLE.value),
        (running, ServerState.IN_USE.value),
        else_=ServerState.AVAILABLE.value,
    )


def _select(now: Moment) -> sa.Select[Any]:
    newest = sa.select(jobs.c.id).where(jobs.c.source_id == _table.id)
    newest = newest.order_by(jobs.c.created.desc(), jobs.c.id).limit(1)
    return sa.select(
        source_servers,
        newest.scalar_subquery().label("job_id"),
        _state(now).label("state"),
        _offline(now).label("offline"),
    )


# Built once: to build it takes longer than to execute it.
_ONE = _select(sa.bindparam("now", type_=sa.Float)).where(_table.id == sa.bindparam("server_id"))


def _conditions(want: ServerFilter, now: float) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if want.ids:
        conditions.append(_table.id.in_(want.ids))
    if want.job_id:
        of_job = sa.select(jobs.c.source_id).where(jobs.c.id == want.job_id)
        conditions.append(_table.id.in_(of_job))
    if want.name:
        conditions.append(_table.name == want.name)
    if want.state:
        conditions.append(_state(now) == want.state)
    return conditions


def _record(row: Any) -> SourceServer:
    return SourceServer(
        id=row.id,
        account=row.account,
        name=row.name,
        description=row.description,
        state=ServerState(row.state),
        offline=bool(row.offline),
        inventory=row.inventory,
        system_info=row.system_info,
        agent_version=row.agent_version,
        heartbeat=row.heartbeat,
        heartbeat_rate=row.heartbeat_rate,
        error_code=row.error_code,
        error_msg=row.error_msg,
        job_id=row.job_id or "",
        created=row.created,
    )
