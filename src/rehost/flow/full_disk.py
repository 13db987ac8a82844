"""What the engine does when there is no room for its records: it waits.

DBOS repeats what meets a locked database until it succeeds. A full disk it takes for the workflow's own
error, whose end cannot be written down then either: the workflow is gone, its row says that it runs, and
until the next start of the process nobody goes on with it.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def wait_for_room(database: Path) -> Callable[[], None]:
    """A full disk counts as a lock on this database from now on, until the answer is called."""

    def tell(context: sa.ExceptionContext) -> None:
        engine, error = context.engine, context.original_exception
        if engine is None or engine.url.database != str(database):
            return
        if getattr(error, "sqlite_errorcode", 0) in _FULL:
            lock = sqlite3.OperationalError(f"database is locked: {error}")
            raise sa.exc.OperationalError(context.statement, context.parameters, lock) from error

    sa.event.listen(sa.Engine, "handle_error", tell)
    return lambda: sa.event.remove(sa.Engine, "handle_error", tell)
