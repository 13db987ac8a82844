"""PostgreSQL, by psycopg: readers see one state, writers take turns, as on SQLite."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from rehost.core.errors import (
    DatabaseUnavailableError,
    DataFolderError,
    DataFolderFullError,
    InvalidValueError,
    RehostError,
)
from rehost.store.access import OPTION, Access

DRIVER = "postgresql+psycopg"
POOL = 20  # connections that stay open
WAIT = "30s"  # how long a writer waits for the others
# A host that stands still between two statements, or lost its power there, would keep its turn, and keep all
# others from writing: the one as long as it stands, the other for two hours, by PostgreSQL's own keepalives.
# Each of its threads that waited for a turn has this time.
GIVEN_UP = {
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_TURN = 0x7265686F73740001  # "rehost", 1
_HELD = 0x7265686F73740002
_FULL = "53100"
_TOO_IDLE = "25P03"
# A connection over the network that is silently gone is noticed within a minute.
_ALIVE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_ALONE = f"SELECT pg_advisory_xact_lock({_TURN})"
_BEGIN = {
    Access.WRITE: _ALONE,
    # Rows that are computed anew may take their time.
    Access.UPGRADE: f"{_ALONE} FROM set_config('idle_in_transaction_session_timeout', '60s', true)",
    Access.APPEND: "SET LOCAL synchronous_commit TO off",
}


def url(text: str) -> sa.URL:
    """An URL for the driver that rehost has; InvalidValueError for any other database's."""
    try:
        parsed = sa.make_url(text)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        raise InvalidValueError("the database's URL is not one", "write postgresql://USER@HOST/DATABASE")
    return parsed.set(drivername=DRIVER)


def engine(text: str) -> sa.Engine:
    """A connection is tried before it is used: one from before a restart of the database is replaced."""
    made = sa.create_engine(
        url(text), pool_size=POOL, max_overflow=POOL, pool_pre_ping=True, connect_args={**_ALIVE}
    )
    sa.event.listen(made, "connect", _prepare_connection)
    sa.event.listen(made, "begin", _begin)
    return made


def shared(text: str) -> AbstractContextManager[None]:
    """Have a database together with others that share it; DataFolderError when a `rehost serve` of before
    there were hosts has it, which does not share, or one that has it for itself."""
    refusal = DataFolderError(
        "another process has this database for itself",
        "wait for a rehost restore; stop a rehost serve of an older version, and update it",
    )
    return _locked(text, sa.func.pg_try_advisory_lock_shared(_HELD), refusal)


def held(text: str) -> AbstractContextManager[None]:
    """Have a database alone; DataFolderError when another process has it."""
    refusal = DataFolderError(
        "a rehost serve or rehost worker has this database", "stop all of them, or choose another database"
    )
    return _locked(text, sa.func.pg_try_advisory_lock(_HELD), refusal)


@contextmanager
def _locked(text: str, lock: sa.Function[bool], refusal: DataFolderError) -> Iterator[None]:
    made = sa.create_engine(url(text), isolation_level="AUTOCOMMIT", connect_args={**_ALIVE})
    sa.event.listen(made, "connect", _prepare_connection)
    try:
        with made.connect() as connection:
            if not connection.scalar(sa.select(lock)):
                raise refusal
            yield
    except sa.exc.OperationalError as error:
        raise told(error) or error from error
    finally:
        made.dispose()


def view(engine: sa.Engine, access: Access) -> sa.Engine:
    """A writer sees, statement by statement, what is committed: nobody else writes. The snapshot of a
    stricter isolation would be older than its turn."""
    options: dict[str, Any] = {OPTION: access}
    if access is Access.READ:
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return engine.execution_options(**options)


def turn() -> AbstractContextManager[object]:
    """The database itself has the queue."""
    return nullcontext()


def clock(connection: sa.Connection) -> float:
    """Also within a transaction it goes on."""
    return float(connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))


def told(error: sa.exc.DBAPIError) -> RehostError | None:
    """psycopg's OperationalError is what may pass: no connection, a stopped server, a wait that was too long.
    That the server gave a transaction up it calls an InternalError."""
    code = getattr(error.orig, "sqlstate", None)
    if not isinstance(error, sa.exc.OperationalError) and code != _TOO_IDLE:
        return None
    if code == _FULL:
        return DataFolderFullError(
            "the control plane cannot write its records: the database's disk is full", "make room there"
        )
    return DatabaseUnavailableError(f"the database cannot be used: {_first_line(error.orig)}", "try again")


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["no answer"])[0]


def _prepare_connection(connection: Any, _entry: ConnectionPoolEntry) -> None:
    with connection.cursor() as cursor:
        for name, value in {"lock_timeout": WAIT, **GIVEN_UP}.items():
            cursor.execute(f"SET {name} TO '{value}'")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    access = connection.get_execution_options().get(OPTION, Access.READ)
    if access in _BEGIN:
        connection.exec_driver_sql(_BEGIN[access])
