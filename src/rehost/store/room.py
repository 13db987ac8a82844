"""Jobs whose start was asked for while as many run as may: they wait as they are, and begin oldest first."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import NoHostError, NoRoomError
from rehost.core.job import Status
from rehost.core.placement import bytes_of
from rehost.core.room import Claim, RunningJobs, reasons, subnet_of
from rehost.store import transition
from rehost.store.database import Database
from rehost.store.events import note
from rehost.store.hosts import Host, able, everyone
from rehost.store.schedule import pass_over
from rehost.store.schema import jobs, source_servers
from rehost.store.status import WAITS_FOR_ROOM, phase_info
from rehost.store.transition import Job


class Room:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.limits = RunningJobs()

    def check(self, connection: sa.Connection, clock: float, job_id: str) -> None:
        """NoRoomError if the job cannot begin now, or those that wait longer are to have the room.

        `clock`: the database's. In a transaction that writes: what it finds stays true until the job runs.
        """
        if not self.limits:
            return
        waiting = self._waiting(connection, clock)
        if all(claim.job != job_id for claim in waiting):
            waiting += self._wishes(connection, clock, jobs.c.id == job_id)
        if why := reasons(self.limits, self._running(connection), waiting)[job_id]:
            raise NoRoomError(why)

    def want(self, job_id: str, kind: str, actor: str, why: str) -> None:
        """The job is to begin when there is room, by a run of this kind. One that runs is left alone."""
        with self._database.write() as connection:
            now = self._database.now()
            rests = sa.and_(jobs.c.id == job_id, jobs.c.status != Status.RUNNING.value)
            first = jobs.update().where(rests, jobs.c.wanted.is_(None))
            if connection.execute(first.values(wanted=now, wanted_type=kind)).rowcount:
                note(connection, now, job_id, actor, "WAIT", why)
            said = jobs.update().where(rests, jobs.c.wanted.is_not(None))
            connection.execute(said.values(status_info=phase_info(WAITS_FOR_ROOM, why)))

    def keep_wanting(self, job: Job, kind: str, actor: str, why: str) -> None:
        """For those that look again and again: nothing is written as long as the reason is the same."""
        if job.status_info != phase_info(WAITS_FOR_ROOM, why):
            self.want(job.id, kind, actor, why)

    def withdraw(self, job_id: str, actor: str) -> bool:
        """A start that waits is not wanted any more, nor what is due by schedule; False if none waits."""
        with self._database.write() as connection:
            now = self._database.now()
            wanted = jobs.update().where(jobs.c.id == job_id, jobs.c.wanted.is_not(None))
            taken = connection.execute(wanted.values(wanted=None, wanted_type=None, status_info="")).rowcount
            if taken:
                pass_over(connection, job_id, now)  # or the next tick would want it again
                note(connection, now, job_id, actor, "WITHDRAW")
            return bool(taken)

    def next(self) -> tuple[Job, ...]:
        """The jobs that may begin now, oldest first; the others say anew why they cannot, if the reason is
        another one."""
        with self._database.read() as connection:
            waiting = self._waiting(connection, self._database.clock(connection))
            if not waiting:
                return ()
            found = reasons(self.limits, self._running(connection), waiting)
            query = sa.select(jobs).where(jobs.c.wanted.is_not(None)).order_by(*_OLDEST)
            wanted = [transition.record(row) for row in connection.execute(query)]
        for job in wanted:
            why = found[job.id]
            if why:
                self.keep_wanting(job, job.wanted_type, "", why)
        return tuple(job for job in wanted if not found[job.id])

    def _waiting(self, connection: sa.Connection, clock: float) -> list[Claim]:
        return self._wishes(connection, clock, jobs.c.wanted.is_not(None))

    def _wishes(
        self, connection: sa.Connection, clock: float, condition: sa.ColumnElement[bool]
    ) -> list[Claim]:
        """Of jobs that do not run; each may be placed on any of several workers."""
        there = everyone(connection, clock) if self.limits.per_worker else ()
        rows = self._rows(connection, condition, self.limits.per_subnet or self.limits.per_worker)
        return [self._claim(row, _workers(there, row)) for row in rows]

    def _running(self, connection: sa.Connection) -> Iterable[Claim]:
        rows = self._rows(connection, jobs.c.status == Status.RUNNING.value, self.limits.per_subnet)
        return [self._claim(row, (row.host,)) for row in rows]

    def _rows(self, connection: sa.Connection, condition: sa.ColumnElement[bool], inventories: int) -> Any:
        """Oldest first; with inventories only where they are looked at."""
        inventory = source_servers.c.inventory if inventories else sa.null()
        query = sa.select(jobs.c.id, jobs.c.account, jobs.c.host, inventory.label("inventory"))
        query = query.outerjoin(source_servers, source_servers.c.id == jobs.c.source_id)
        return connection.execute(query.where(condition).order_by(*_OLDEST))

    def _claim(self, row: Any, workers: tuple[str, ...]) -> Claim:
        return Claim(row.id, row.account, subnet_of(row.inventory, self.limits), workers)


def _workers(there: Sequence[Host], row: Any) -> tuple[str, ...]:
    try:
        return tuple(each.host for each in able(there, row.host, bytes_of(row.inventory)))
    except NoHostError:
        return ()  # its start says so


_OLDEST = (jobs.c.wanted, jobs.c.created, jobs.c.id)
