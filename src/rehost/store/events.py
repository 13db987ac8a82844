"""What happened to a resource, who asked for it and when; rows are only ever added."""

from dataclasses import dataclass

import sqlalchemy as sa

from rehost.store.database import Database
from rehost.store.schema import events, jobs, source_servers, webhooks, workgroups

REMOVED = "REMOVE"  # the last event of a job, when its row is gone

_named = sa.bindparam("of", type_=sa.String)


def _known(column: str, *tables: sa.Table) -> sa.ColumnElement[str]:
    """What the resource's row says; once that is gone, what it said at the last event."""
    rows = [sa.select(table.c[column]).where(table.c.id == _named) for table in tables]
    last = sa.select(events.c[column]).where(events.c.subject == _named).order_by(events.c.id.desc()).limit(1)
    return sa.func.coalesce(*(row.scalar_subquery() for row in (*rows, last)), "")


# Whose event it is, is looked up here, where nobody can forget it: webhooks are told of their account's.
_INSERT = events.insert().values(
    account=_known("account", jobs, source_servers, workgroups, webhooks),
    name=_known("name", jobs, source_servers, workgroups),
    run=sa.func.coalesce(
        sa.select(jobs.c.current_run).where(jobs.c.id == _named).scalar_subquery(), _known("run")
    ),
)


@dataclass(frozen=True, slots=True)
class EventRecord:
    subject: str  # the resource's id
    at: float
    actor: str  # an access key's id, a source server's id, or "rehost"
    what: str
    state: str  # of a job from then on: Running/Syncing; empty: it stayed as it was
    detail: str  # why, for people
    account: str  # whose resource it was; empty: an older rehost did not say it


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
    row = {
        "of": subject,
        "subject": subject,
        "at": at,
        "actor": actor,
        "what": what,
        "state": state,
        "detail": detail,
    }
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
                EventRecord(row.subject, row.at, row.actor, row.what, row.state, row.detail, row.account)
                for row in connection.execute(query)
            )
