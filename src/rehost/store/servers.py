"""Source servers: identities of agents, and what they tell of their machines."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rehost.core.agentapi import Heartbeat, Register
from rehost.core.errors import (
    DuplicateSourceNameError,
    RelatedJobError,
    RunningJobError,
    SourceServerStateError,
)
from rehost.core.ids import Kind
from rehost.core.job import Event, JobState, Status
from rehost.core.server import ServerState
from rehost.store import codes, serverrow, transition
from rehost.store.assignments import unknown
from rehost.store.database import Database, new_id
from rehost.store.events import note
from rehost.store.paging import Listing, Page, given
from rehost.store.schema import jobs, source_servers
from rehost.store.serverrow import HEARTBEAT_RATE, ServerFilter, SourceServer
from rehost.store.tags import Taggable, forget, tagged
from rehost.store.transition import Job

_table = source_servers.c


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

    def get(self, server_id: str) -> SourceServer:
        """NotFoundError when there is none."""
        with self._database.read() as connection:
            return serverrow.read(connection, server_id, self._database.now())

    def find(self, account: str, want: ServerFilter, page: Page) -> Listing[SourceServer]:
        """Newest first."""
        now = self._database.now()
        having = tagged(_table.id, account, Taggable.SOURCE, want.tags)
        asked = given(want)
        pages = serverrow.pages(frozenset(asked), want.state).where(*having)
        with self._database.read() as connection:
            return pages.fetch(connection, page, serverrow.record, {**asked, "account": account, "now": now})

    def heartbeat(self, server_id: str, beat: Heartbeat) -> None:
        """NotFoundError when there is none."""
        if server_id in self.heartbeats({server_id: beat}):
            raise unknown(server_id)

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

    def modify(self, server_id: str, actor: str, **changes: str) -> None:
        """Change name, description or resource_group_id.

        NotFoundError, SourceServerStateError while it is Deleting, or DuplicateSourceNameError; then nothing
        has changed. Hostnames may repeat: only names that people give are held against the others.
        """
        with self._database.write() as connection:
            server = serverrow.read(connection, server_id, self._database.now())
            if server.state is ServerState.DELETING:
                raise SourceServerStateError(f"the source server {server_id} is being deleted")
            if "name" in changes:
                _check_name(connection, server, changes["name"])
            if changes:
                connection.execute(_of(server_id).values(**changes))
                note(connection, self._database.now(), server_id, actor, "MODIFY", ", ".join(changes))

    def delete(self, server_id: str, force: bool, actor: str) -> tuple[Job, ...]:
        """Move a source server to Deleting, and its jobs with it, in one transaction; these jobs.

        NotFoundError, SourceServerStateError while it is Deleting, RunningJobError while a job of it runs,
        RelatedJobError when it has jobs and `force` is not set; then nothing has changed.
        """
        with self._database.write() as connection:
            now = self._database.now()
            server = serverrow.read(connection, server_id, now)
            if server.state is ServerState.DELETING:
                raise SourceServerStateError(f"the source server {server_id} is being deleted already")
            query = sa.select(jobs).where(jobs.c.source_id == server_id).order_by(jobs.c.created, jobs.c.id)
            related = tuple(map(transition.record, connection.execute(query.with_for_update())))
            _check_jobs(server_id, related, force)
            rest = tuple(job for job in related if job.state is not JobState.DELETING)
            for job in rest:
                transition.move(connection, now, job, Event.DELETE, actor, f"with {server_id}")
            connection.execute(_of(server_id).values(deleting=True))
            note(connection, now, server_id, actor, "DELETE")
            return rest

    def remove(self, server_id: str) -> None:
        """The agent's identity and the tags end with the row; a repeated call does nothing."""
        with self._database.write() as connection:
            connection.execute(sa.delete(source_servers).where(_table.id == server_id))
            forget(connection, server_id)

    def workgroups_of(self, server_ids: Sequence[str]) -> dict[str, str]:
        """The workgroup of each of those that are there; empty: in none."""
        with self._database.read() as connection:
            return dict(iter(connection.execute(_WORKGROUPS, {"server_ids": server_ids})))

    def emptied(self) -> tuple[str, ...]:
        """The source servers that are Deleting and have no job left."""
        with_jobs = sa.exists().where(jobs.c.source_id == _table.id)
        query = sa.select(_table.id).where(_table.deleting, sa.not_(with_jobs))
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_WORKGROUPS = sa.select(_table.id, _table.workgroup_id).where(_table.id.in_(sa.bindparam("server_ids")))
_TOLD: dict[str, Any] = {
    name: sa.bindparam(name)
    for name in ("inventory", "system_info", "agent_version", "error_code", "error_msg")
}


def _beat(server_id: str, beat: Heartbeat) -> dict[str, Any]:
    return {"of": server_id, **{name: getattr(beat, name) for name in _TOLD}}


def _of(server_id: Any) -> sa.Update:
    return source_servers.update().where(_table.id == server_id)


def _check_name(connection: sa.Connection, server: SourceServer, name: str) -> None:
    query = sa.select(_table.id).where(
        _table.account == server.account, _table.name == name, _table.id != server.id
    )
    if other := connection.execute(query).scalar():
        raise DuplicateSourceNameError(f"the source server {other} is named {name}", "choose another name")


def _check_jobs(server_id: str, related: Sequence[Job], force: bool) -> None:
    running = [job.id for job in related if job.state.status is Status.RUNNING]
    if running:
        raise RunningJobError(
            f"the source server {server_id} has the running job {', '.join(running)}",
            "wait until it has finished, or stop it",
        )
    if related and not force:
        raise RelatedJobError(
            f"the source server {server_id} has {', '.join(job.id for job in related)}",
            "delete these jobs first, or set Force=true to delete them together with the source server",
        )
