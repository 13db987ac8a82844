"""Hosts: the processes that have volumes and do the work on them. Each holds a lease, and renews it.

Times here are the database's own. A host whose lease has run out may be dead or stand still; what it does
when it wakes up is refused where it writes, by the generation of the runs that others have taken over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import HostError, NoHostError, NotFoundError
from rehost.core.job import Status
from rehost.core.placement import Candidate, fitting
from rehost.store.database import Database
from rehost.store.schema import hosts, jobs, runs

TTL = 20.0  # seconds of a lease: what a dead host has is taken over within 30
RENEWALS = 3  # while a lease lasts


class HostKind(StrEnum):
    SERVER = "server"  # has the API too
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Presence:
    """What a host says of itself when it starts."""

    id: str
    name: str
    kind: HostKind
    receiver_host: str  # empty: an agent finds its receiver where it reaches the API
    receiver_port: int
    free: int  # bytes for replicas
    version: str
    volumes: str  # names storage that several hosts have; empty: its volumes are its own
    keys: str  # a digest of the keys that all hosts have in common; empty: restored, none has said it since


@dataclass(frozen=True, slots=True)
class Host:
    presence: Presence
    generation: int  # of its process: each start raises it
    alive: bool
    lease: float | None  # until when it counts as alive; None: for ever, as the only one
    draining: bool  # takes no new jobs
    running: int  # jobs

    @property
    def id(self) -> str:
        return self.presence.id

    @property
    def name(self) -> str:
        return self.presence.name

    @property
    def takes_jobs(self) -> bool:
        return self.alive and not self.draining


class Hosts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def restored(self) -> None:
        """Keys are new: the first host that joins says which."""
        with self._database.write() as connection:
            connection.execute(hosts.update().values(keys=""))

    def join(self, presence: Presence, ttl: float = TTL) -> int:
        """Be there from now on; the generation of this process.

        The first host of a database takes the jobs of the time before there were hosts. HostError when it
        does not go together with the others.
        """
        with self._database.write() as connection:
            others = [host for host in everyone(connection, self._now(connection)) if host.id != presence.id]
            _check(presence, others)
            before = connection.scalar(sa.select(hosts.c.generation).where(hosts.c.id == presence.id))
            row = _row(presence) | {"generation": (before or 0) + 1} | self._renewed(connection, ttl)
            if before is None:
                connection.execute(hosts.insert().values(**row, draining=False))
            else:
                connection.execute(hosts.update().where(hosts.c.id == presence.id).values(**row))
            if before is None and not others:
                started = jobs.update().where(jobs.c.current_run != "", jobs.c.host == "")
                connection.execute(started.values(host=presence.id))
                connection.execute(runs.update().where(runs.c.host == "").values(host=presence.id))
            return int(row["generation"])

    def renew(self, host_id: str, generation: int, port: int, free: int, ttl: float = TTL) -> bool:
        """False when the host's place is another process's, or was given away: this one is to end."""
        with self._database.append() as connection:
            mine = hosts.update().where(hosts.c.id == host_id, hosts.c.generation == generation)
            values = {"receiver_port": port, "free": free} | self._renewed(connection, ttl)
            return bool(connection.execute(mine.values(**values)).rowcount)

    def leave(self, host_id: str, generation: int) -> None:
        """An end in order: nobody waits for the lease to run out."""
        with self._database.append() as connection:
            mine = hosts.update().where(hosts.c.id == host_id, hosts.c.generation == generation)
            connection.execute(mine.values(lease=0.0))

    def steady(self, host_id: str, ttl: float = TTL) -> bool:
        """It and others have renewed their leases for as long as one lasts: what has run out by now did not
        do so because the database was away."""
        with self._database.read() as connection:
            now = self._now(connection)
            mine = sa.select(hosts.c.seen_since).where(hosts.c.id == host_id, _renewed_lately(now, ttl))
            since = connection.scalar(mine)
            return since is not None and now - since >= ttl

    def leads(self, host_id: str) -> bool:
        """One of those that are alive does what is nobody's own. For a moment two may think that they do."""
        with self._database.read() as connection:
            first = sa.select(sa.func.min(hosts.c.id)).where(alive(self._now(connection)))
            return bool(connection.scalar(first) == host_id)

    def takes_jobs(self, host_id: str) -> bool:
        """It is there, and not to be free of jobs."""
        with self._database.read() as connection:
            able = alive(self._now(connection)) & sa.not_(hosts.c.draining)
            query = sa.select(hosts.c.id).where(hosts.c.id == host_id, able)
            return connection.execute(query).first() is not None

    def all(self) -> tuple[Host, ...]:
        with self._database.read() as connection:
            return everyone(connection, self._now(connection))

    def get(self, name: str) -> Host:
        """By its id or its name; NotFoundError, HostError when several have the name."""
        with self._database.read() as connection:
            return find(connection, self._now(connection), name)

    def apart(self, host_id: str) -> frozenset[str]:
        """The hosts that have other storage than this one."""
        there = self.all()
        shared = next((host.presence.volumes for host in there if host.id == host_id), "")
        apart = (host.id for host in there if not shared or host.presence.volumes != shared)
        return frozenset(apart) - {host_id}

    def drain(self, name: str, draining: bool) -> Host:
        """Let a host, by its id or name, take no new jobs, or again; NotFoundError, HostError."""
        with self._database.write() as connection:
            host = find(connection, self._now(connection), name)
            connection.execute(hosts.update().where(hosts.c.id == host.id).values(draining=draining))
            return find(connection, self._now(connection), host.id)

    def _now(self, connection: sa.Connection) -> float:
        return self._database.clock(connection)

    def _renewed(self, connection: sa.Connection, ttl: float) -> dict[str, float | None]:
        if self._database.of_one_host:
            return {"lease": None, "seen_since": None}
        now = self._now(connection)
        return {"lease": now + ttl, "seen_since": _seen_since(connection, now, ttl)}


def _seen_since(connection: sa.Connection, now: float, ttl: float) -> float:
    """What hosts know that have renewed their leases lately, dead ones too: one that has just come knows it
    then as well."""
    known = sa.select(sa.func.min(hosts.c.seen_since)).where(_renewed_lately(now, ttl))
    since: float | None = connection.scalar(known)
    return now if since is None else min(since, now)


def _renewed_lately(now: float, ttl: float) -> sa.ColumnElement[bool]:
    """A database that was away for less than that has let no lease run out: all are renewed more often."""
    return hosts.c.lease > now + ttl / RENEWALS


def reachable(there: Sequence[Host]) -> frozenset[str]:
    """The shared storages of those that take jobs."""
    return frozenset(host.presence.volumes for host in there if host.takes_jobs) - {""}


def able(there: Sequence[Host], host: str, needed: int) -> tuple[Candidate, ...]:
    """Of the hosts that are there, where a job's next run may be carried out that needs so many bytes: at the
    host that has its volumes, or, if that is gone or is to be free of jobs, at others with the same storage.

    One without a name while no host has ever been there. NoHostError.
    """
    present = next((each for each in there if each.id == host), None)
    takers = [each for each in there if each.takes_jobs]
    if present is None and takers:
        return fitting(map(_candidate, takers), needed)
    if present is None and there:
        raise NoHostError(
            f"none of {len(there)} hosts takes new jobs",
            "see which are away or draining: rehost worker list; then try again",
        )
    if present is None:
        return (Candidate("", 0, 0),)
    shared = present.presence.volumes
    others = [each for each in takers if shared and each.presence.volumes == shared]
    stays = present in takers or not others
    return tuple(map(_candidate, [present] if stays else others))


def _check(presence: Presence, others: list[Host]) -> None:
    strangers = [host.name for host in others if host.presence.keys not in ("", presence.keys)]
    if strangers:
        raise HostError(
            f"the keys of this host are not those of {', '.join(strangers)}, which shares its database",
            "copy the folder keys/ with ca.*, server.key, ticket.key and secrets.key from there to the data"
            " folder here; if that host is gone for ever: rehost worker forget",
        )
    nameless = [host.name for host in others if host.alive and not host.presence.receiver_host]
    if not presence.receiver_host and any(host.alive for host in others):
        nameless = [presence.name, *nameless]
    if nameless:
        raise HostError(
            f"agents would not find the volumes of {', '.join(nameless)}: several hosts share the database",
            "start each of them with --address and the name or address that agents reach it by",
        )


def everyone(connection: sa.Connection, now: float) -> tuple[Host, ...]:
    """All hosts, in the caller's transaction."""
    counted = sa.select(jobs.c.host, sa.func.count().label("running")).where(jobs.c.status == Status.RUNNING)
    busy = counted.group_by(jobs.c.host).subquery()
    query = sa.select(hosts, busy.c.running).outerjoin(busy, busy.c.host == hosts.c.id)
    return tuple(_record(row, now) for row in connection.execute(query.order_by(hosts.c.name, hosts.c.id)))


def find(connection: sa.Connection, now: float, name: str) -> Host:
    """By its id or its name; NotFoundError, HostError when several have the name."""
    found = [host for host in everyone(connection, now) if name in (host.id, host.name)]
    if not found:
        raise NotFoundError(f"there is no host {name}", "list them with: rehost worker list")
    if len(found) > 1:
        raise HostError(f"{len(found)} hosts are called {name}", "give the id: rehost worker list has it")
    return found[0]


def alive(now: float) -> sa.ColumnElement[bool]:
    """Of a row of `hosts`."""
    return sa.or_(hosts.c.lease.is_(None), hosts.c.lease > now)


def _candidate(host: Host) -> Candidate:
    return Candidate(host.id, host.presence.free, host.running)


def _row(presence: Presence) -> dict[str, Any]:
    return {name: getattr(presence, name) for name in Presence.__slots__}


def _record(row: Any, now: float) -> Host:
    values = {name: getattr(row, name) for name in Presence.__slots__}
    return Host(
        presence=Presence(**{**values, "kind": HostKind(row.kind)}),
        generation=row.generation,
        alive=row.lease is None or row.lease > now,
        lease=row.lease,
        draining=row.draining,
        running=row.running or 0,
    )
