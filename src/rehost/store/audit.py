"""The audit trail: who asked for what, from where, and what came of it. Rows are added and, in time, removed.

An entry never has a request's parameters: it names the action, the resources and the result's code.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rehost.store.database import Database
from rehost.store.schema import audit

DAY = 86400.0
KEPT_DAYS = 180.0
DONE = "OK"
UNKNOWN_END = ""  # the process died between the entry and the end of what it tells of

_FLUSH_EVERY = 0.5  # seconds
_SWEEP_EVERY = 3600.0  # seconds
_MOST_WAITING = 5000  # entries; a request that finds so many writes them itself
_PAGE = 1000

_INSERT = audit.insert()
_FINISH = (  # built once: it takes longer than to carry it out
    audit.update()
    .where(audit.c.request_id == sa.bindparam("of"))
    .values(code=sa.bindparam("code"), seconds=sa.bindparam("seconds"))
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: float
    request_id: str
    account: str
    principal: str  # user/NAME, role/NAME/SESSION; empty: the account itself
    key: str
    action: str  # smc:StartReplicationJob
    resources: tuple[str, ...]  # ARNs
    address: str  # the client's
    code: str = UNKNOWN_END
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All conditions hold together; an empty one does not count. Ends of patterns may be `*`."""

    account: str = ""
    principal: str = ""
    key: str = ""
    action: str = ""
    code: str = ""
    address: str = ""
    request_id: str = ""
    resource: str = ""  # a part of an ARN
    since: float | None = None
    until: float | None = None


class AuditTrail:
    """Entries of what changes nothing are gathered and written together; see `begin` for the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[AuditEntry] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept = 0.0
        self.kept_days = KEPT_DAYS

    def add(self, entry: AuditEntry) -> None:
        """Written within a second; lost if the process is killed before."""
        with self._lock:
            self._waiting.append(entry)
            full = len(self._waiting) >= _MOST_WAITING
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_often, name="audit", daemon=True)
                self._thread.start()
        if full:
            self.flush()

    def write(self, entry: AuditEntry) -> None:
        """Durable when it returns."""
        with self._database.write() as connection:
            begin(connection, entry)

    def finish(self, request_id: str, code: str, seconds: float) -> None:
        """Say how something ended that `begin` wrote down."""
        with self._database.write() as connection:
            connection.execute(_FINISH, {"of": request_id, "code": code, "seconds": seconds})

    def flush(self) -> None:
        with self._writing:
            with self._lock:
                entries, self._waiting = self._waiting, []
            if not entries:
                return
            try:
                with self._database.write() as connection:
                    connection.execute(_INSERT, [_columns(entry) for entry in entries])
            except BaseException:
                with self._lock:
                    self._waiting = entries + self._waiting
                raise

    def sweep(self) -> int:
        """Remove what is older than `kept_days`; how many that were."""
        old = audit.c.at < self._database.now() - self.kept_days * DAY
        with self._database.write() as connection:
            return connection.execute(sa.delete(audit).where(old)).rowcount

    def newest(self, want: AuditFilter, most: int) -> tuple[AuditEntry, ...]:
        """Newest first."""
        query = sa.select(audit).where(*_conditions(want)).order_by(audit.c.at.desc(), audit.c.id.desc())
        with self._database.read() as connection:
            return tuple(map(_record, connection.execute(query.limit(most))))

    def each(self, want: AuditFilter) -> Iterator[AuditEntry]:
        """All that match, oldest first, page by page: a trail may be longer than memory is wide.

        By their times: those that are gathered are written later than what happened meanwhile.
        """
        place = sa.tuple_(audit.c.at, audit.c.id)
        after = (0.0, 0)
        while True:
            query = sa.select(audit).where(place > sa.tuple_(*map(sa.literal, after)), *_conditions(want))
            query = query.order_by(audit.c.at, audit.c.id)
            with self._database.read() as connection:
                rows = connection.execute(query.limit(_PAGE)).all()
            yield from map(_record, rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1].at, rows[-1].id)

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _write_often(self) -> None:
        while not self._closed.wait(_FLUSH_EVERY):
            try:
                self.flush()
                if self._database.now() - self._swept > _SWEEP_EVERY:
                    self._swept = self._database.now()
                    self.sweep()
            except Exception:  # noqa: BLE001  the next turn tries again
                _log.exception("the audit trail cannot be written; its entries are kept and tried again")


def begin(connection: sa.Connection, entry: AuditEntry) -> None:
    """Write down in the caller's transaction what is about to change something: it is known of whatever
    becomes of the process."""
    connection.execute(_INSERT, _columns(entry))


def _columns(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in AuditEntry.__slots__}


def _record(row: Any) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__slots__})


def _conditions(want: AuditFilter) -> list[sa.ColumnElement[bool]]:
    conditions = [
        _like(getattr(audit.c, name), text)
        for name in ("account", "principal", "key", "action", "code", "address", "request_id")
        if (text := getattr(want, name))
    ]
    if want.resource:
        conditions.append(sa.cast(audit.c.resources, sa.Text).contains(want.resource, autoescape=True))
    if want.since is not None:
        conditions.append(audit.c.at >= want.since)
    if want.until is not None:
        conditions.append(audit.c.at < want.until)
    return conditions


def _like(column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    if text.endswith("*"):
        return column.startswith(text[:-1], autoescape=True)
    return column == text
