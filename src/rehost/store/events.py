"""What happened to a resource, who asked for it and when; rows are only ever added."""

from dataclasses import dataclass

import sqlalchemy as sa

from rehost.store.database import Database
from rehost.store.schema import events

_INSERT = events.insert()


@dataclass(frozen=True, slots=True)
class EventRecord:
    subject: str  # the resource's id
    at: float
    actor: str  # an access key's id, a source server's id, or "rehost"
    what: str
    state: str  # of a job from then on: Running/Syncing; empty: it stayed as it was
    detail: str  # why, for people


def note(
    connection: sa.Connection,
    at: float,
    subject: str,
    actor: str,
    what: str,
    detail: str = "",
    state: str = "",
) -> None:
    """Add an event in the transaction that it tells of."""
    row = {"subject": subject, "at": at, "actor": actor, "what": what, "state": state, "detail": detail}
    connection.execute(_INSERT, row)


class Events:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, subject: str, actor: str, what: str, detail: str = "") -> None:
        """For what no other row changes by."""
        with self._database.write() as connection:
            note(connection, self._database.now(), subject, actor, what, detail)

    def of(self, subject: str) -> tuple[EventRecord, ...]:
        """All events of one resource, oldest first."""
        query = sa.select(events).where(events.c.subject == subject).order_by(events.c.id)
        with self._database.read() as connection:
            return tuple(
                EventRecord(row.subject, row.at, row.actor, row.what, row.state, row.detail)
                for row in connection.execute(query)
            )
