"""SQLite: one file in WAL mode; readers wait for nobody, writers take turns."""

import sqlite3
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from rehost.core.errors import DatabaseUnavailableError, DataFolderFullError, RehostError
from rehost.store.access import OPTION, Access

BUSY_SECONDS = 30  # how long a writer waits for another process before SQLite gives up
POOL = 20  # connections that stay open

# In WAL mode NORMAL leaves the wait for the disk to the next FULL transaction.
_SET = {
    Access.WRITE: ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"),
    Access.APPEND: ("PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON"),
    # With its foreign keys, a table that is made anew would take the rows that refer to it along.
    Access.UPGRADE: ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=OFF"),
}
_SET_TO = "rehost_set_to"  # the access that a connection was set to last
_AWAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def engine(path: Path) -> sa.Engine:
    made = sa.create_engine(
        f"sqlite:///{path}",
        pool_size=POOL,
        max_overflow=POOL,
        pool_use_lifo=True,  # few connections, whose pages are in their caches
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    sa.event.listen(made, "connect", _prepare_connection)
    sa.event.listen(made, "begin", _begin)
    return made


def view(engine: sa.Engine, access: Access) -> sa.Engine:
    return engine.execution_options(**{OPTION: access})


def turn() -> AbstractContextManager[object]:
    """Threads of one process queue for the file's write lock here: SQLite's own way to wait is to sleep and
    try again."""
    return threading.Lock()


def clock(_connection: sa.Connection) -> None:
    """A file is opened on one host."""
    return


def told(error: sa.exc.DBAPIError) -> RehostError | None:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DataFolderFullError(
            "the control plane cannot write its records: the disk is full",
            "make room on the file system that holds the data folder, then start rehost serve again",
        )
    if code in _AWAY:
        return DatabaseUnavailableError(f"the database cannot be used: {error.orig}", "try again")
    return None


def _prepare_connection(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin transactions by its own rules
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """A transaction that reads first and upgrades later would meet SQLITE_BUSY without any waiting."""
    access = connection.get_execution_options().get(OPTION, Access.READ)
    if access is Access.READ:
        connection.exec_driver_sql("BEGIN")
        return
    if connection.info.get(_SET_TO) is not access:
        for statement in _SET[access]:
            connection.exec_driver_sql(statement)
        connection.info[_SET_TO] = access
    connection.exec_driver_sql("BEGIN IMMEDIATE")
