"""The engine behind all records: SQLite in WAL mode for one process, PostgreSQL by its URL."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from rehost.core import ids
from rehost.core.errors import DataFolderFullError
from rehost.store.upgrade import upgrade

BUSY_SECONDS = 30  # how long a writer waits for another one before SQLite gives up
POOL = 20  # connections that stay open; reads and the one writer of the moment

Clock = Callable[[], float]


class Database:
    """Transactions on one database; safe to use from many threads.

    `read` sees one consistent state and holds no lock. `write` takes the write lock at its beginning: a
    transaction that reads first and upgrades later would meet SQLITE_BUSY without any waiting.
    """

    def __init__(self, engine: sa.Engine, clock: Clock = time.time) -> None:
        self._engine = engine
        self._writer = engine.execution_options(rehost_write=True)
        self.now = clock

    @classmethod
    def open(cls, where: Path | str, clock: Clock = time.time) -> "Database":
        """Open a file (SQLite) or an URL, brought to the newest schema."""
        engine = _sqlite(where) if isinstance(where, Path) else sa.create_engine(where, pool_size=POOL)
        upgrade(engine, where if isinstance(where, Path) else None)
        return cls(engine, clock)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is durable when the block ends, nothing when it raises.

        DataFolderFullError when there is no room for it.
        """
        try:
            with self._writer.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
                raise
            raise DataFolderFullError(
                "the control plane cannot write its records: the disk is full",
                "make room on the file system that holds the data folder, then start rehost serve again",
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    @property
    def engine(self) -> sa.Engine:
        return self._engine


def new_id(kind: ids.Kind) -> str:
    return ids.make(kind, os.urandom(ids.RANDOM_BYTES))


def _sqlite(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        pool_size=POOL,
        max_overflow=POOL,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _prepare_connection)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin transactions by its own rules
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("rehost_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
