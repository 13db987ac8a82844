"""Transactions on all records: SQLite in WAL mode for one host, PostgreSQL by its URL for many."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from rehost.core import ids
from rehost.core.errors import DatabaseUnavailableError, InvalidValueError
from rehost.store import postgresql, sqlite
from rehost.store.access import Access, Backend
from rehost.store.upgrade import upgrade

Clock = Callable[[], float]


class Database:
    """Transactions on one database; safe to use from many threads.

    `read` sees one consistent state and waits for nobody. `write` is alone: transactions that write take
    turns, in all processes, so that what one has read stays true until it ends. `append` adds rows that
    depend on no others; it takes no turn, and a power cut may lose the last ones. Inside of `together` they
    are parts of one `write`.

    All of them raise DatabaseUnavailableError when the database cannot be reached or is too busy, and
    DataFolderFullError when there is no room; then nothing has changed.
    """

    def __init__(self, engine: sa.Engine, clock: Clock = time.time) -> None:
        self._engine = engine
        self._backend: Backend = sqlite if engine.dialect.name == "sqlite" else postgresql
        self._views = {access: self._backend.view(engine, access) for access in Access}
        self._turn = self._backend.turn()
        self._joined = threading.local()
        self.now = clock

    @classmethod
    def open(cls, where: Path | str, clock: Clock = time.time) -> "Database":
        """Open a file (SQLite) or an URL (PostgreSQL), brought to the newest schema.

        InvalidValueError for an URL of another database, DatabaseUnavailableError.
        """
        engine = sqlite.engine(where) if isinstance(where, Path) else postgresql.engine(where)
        sa.event.listen(engine, "before_cursor_execute", _refuse_nul)
        database = cls(engine, clock)
        try:
            with database._transaction(Access.UPGRADE) as connection:
                upgrade(connection)
        except BaseException:
            database.close()
            raise
        return database

    def read(self) -> AbstractContextManager[sa.Connection]:
        return self._part() or self._look() or self._reading()

    def write(self) -> AbstractContextManager[sa.Connection]:
        """All of it is durable when the block ends, nothing when it raises."""
        return self._part() or self._transaction(Access.WRITE)

    def append(self) -> AbstractContextManager[sa.Connection]:
        """Others see all of it when the block ends, after a kill of every process too."""
        return self._part() or self._transaction(Access.APPEND)

    @contextmanager
    def together(self) -> Iterator[None]:
        """All transactions of this thread are one until the block ends: one wait for the disk.

        Where one of them raises nothing of any is kept, and no other can follow.
        """
        with self._transaction(Access.WRITE) as connection:
            self._joined.connection = connection
            try:
                yield
            finally:
                self._joined.connection = None

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """All that this thread reads until the block ends is of one state, and one transaction; what it
        writes is in transactions of their own."""
        with self._reading() as connection:
            self._joined.look = connection
            try:
                yield
            finally:
                self._joined.look = None

    def clock(self, connection: sa.Connection) -> float:
        """The time that is the same for all processes: Unix seconds."""
        told = self._backend.clock(connection)
        return self.now() if told is None else told

    @property
    def of_one_host(self) -> bool:
        return self._backend is sqlite

    def close(self) -> None:
        """What other threads are still at ends with its own connection."""
        sa.event.listen(self._engine.pool, "checkin", _drop)
        self._engine.dispose()

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    def _part(self) -> AbstractContextManager[sa.Connection] | None:
        """Of the transaction that this thread is in; None: it is in none."""
        connection = getattr(self._joined, "connection", None)
        return None if connection is None else self._joining(connection)

    def _look(self) -> AbstractContextManager[sa.Connection] | None:
        """The thread's one state; None: each of its reads sees its own. No look spoils the next one."""
        connection = getattr(self._joined, "look", None)
        return None if connection is None else nullcontext(connection)

    @contextmanager
    def _joining(self, connection: sa.Connection) -> Iterator[sa.Connection]:
        with self._errors_told():
            try:
                yield connection
            except BaseException:
                _roll_back(connection)
                raise

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._errors_told(), self._views[Access.READ].begin() as connection:
            yield connection

    @contextmanager
    def _transaction(self, access: Access) -> Iterator[sa.Connection]:
        with self._errors_told(), self._turn, self._views[access].begin() as connection:
            yield connection

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:
            raise DatabaseUnavailableError("all connections to the database are busy", "try again") from error
        except (sa.exc.OperationalError, sa.exc.InternalError) as error:
            told = self._backend.told(error)
            if told is None:
                raise
            raise told from error


def new_id(kind: ids.Kind) -> str:
    return ids.make(kind, os.urandom(ids.RANDOM_BYTES))


def _roll_back(connection: sa.Connection) -> None:
    transaction = connection.get_transaction()
    if transaction is not None:
        transaction.rollback()


def _drop(_connection: Any, entry: ConnectionPoolEntry) -> None:
    entry.invalidate()


def _refuse_nul(
    _connection: sa.Connection, _cursor: Any, _statement: str, parameters: Any, _context: Any, many: bool
) -> None:
    """PostgreSQL keeps no NUL in texts; what one database refuses the other does not keep either."""
    for row in parameters if many else (parameters,):
        for value in row.values() if isinstance(row, dict) else row:
            if isinstance(value, str) and "\0" in value:
                raise InvalidValueError(f"the text {value[:40]!a} has a NUL character", "leave it out")
