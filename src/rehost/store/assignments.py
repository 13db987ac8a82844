"""What an agent is told to carry out, as one field of its source server; a version tells when it changed."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from rehost.core.agentapi import Assignment, AssignmentAnswer
from rehost.core.errors import NotFoundError
from rehost.core.job import OVER
from rehost.store.database import Database
from rehost.store.schema import jobs, source_servers

_MANY = 500

_table = source_servers.c


class Assignments:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, server_id: str) -> tuple[int, Assignment | None]:
        """What the agent has to do, and its version; NotFoundError when there is no such source."""
        query = sa.select(_table.assignment_version, _table.assignment).where(_table.id == server_id)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise unknown(server_id)
        return row.assignment_version, row.assignment

    def answers(self, server_ids: Collection[str]) -> dict[str, AssignmentAnswer]:
        """What agents are told, of those that are there, in one query."""
        with self._database.read() as connection:
            rows = connection.execute(_ANSWERS, {"ids": list(server_ids)})
            return {row[0]: AssignmentAnswer(row[1], row[2], row[3] or "") for row in rows}

    def versions(self, server_ids: Sequence[str]) -> dict[str, int]:
        """Of those that are there, in one query: what one ticker asks for all long polls of a process.

        Of many it is quicker to go through the index of all versions than to look for each.
        """
        query = sa.select(_table.id, _table.assignment_version)
        if len(server_ids) <= _MANY:
            query = query.where(_table.id.in_(server_ids))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def assign(self, server_id: str, assignment: Assignment) -> None:
        """NotFoundError when there is no such source."""
        with self._database.write() as connection:
            if not _put(connection, server_id, assignment):
                raise unknown(server_id)

    def withdraw(self, server_id: str, run: str) -> None:
        """Take a run's assignment back; another run's stays, and a source that is gone is no error."""
        with self._database.write() as connection:
            take_back(connection, server_id, run)

    def readdress(self, server_id: str, run: str, host: str, port: int) -> None:
        """Tell the agent that carries a run out where the data plane is now, if it is not where it was."""
        with self._database.write() as connection:
            old = _of_run(connection, server_id, run)
            if old is not None and (old.receiver_host, old.receiver_port) != (host, port):
                _put(connection, server_id, replace(old, receiver_host=host, receiver_port=port))


def _answers() -> sa.Select[Any]:
    """A job that runs again and again and is not over has what a later run builds on kept."""
    again = sa.and_(sa.not_(jobs.c.run_once), jobs.c.status.not_in([status.value for status in OVER]))
    keep = sa.select(jobs.c.id).where(jobs.c.source_id == _table.id, again).limit(1)
    columns = (_table.id, _table.assignment_version, _table.assignment, keep.scalar_subquery())
    return sa.select(*columns).where(_table.id.in_(sa.bindparam("ids", expanding=True)))


# Built once: to build it takes longer than to execute it.
_ANSWERS = _answers()


def take_back(connection: sa.Connection, server_id: str, run: str) -> None:
    """`withdraw` in the caller's transaction."""
    if _of_run(connection, server_id, run) is not None:
        _put(connection, server_id, None)


def unknown(server_id: str) -> NotFoundError:
    return NotFoundError(f"there is no source server {server_id}", "list them with: rehost source list")


def _of_run(connection: sa.Connection, server_id: str, run: str) -> Assignment | None:
    """None: the source is gone, has nothing to do, or carries another run out."""
    query = sa.select(_table.assignment).where(_table.id == server_id)
    found: Assignment | None = connection.execute(query).scalar_one_or_none()
    return found if found is not None and found.run == run else None


def _put(connection: sa.Connection, server_id: str, assignment: Assignment | None) -> bool:
    """False: there is no such source."""
    update = source_servers.update().where(_table.id == server_id)
    version = _table.assignment_version + 1
    return bool(connection.execute(update.values(assignment=assignment, assignment_version=version)).rowcount)
