import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rehost.store.schema import events, metadata
from rehost.store.store import Store


def test_migrations_make_the_schema(store: Store) -> None:
    with store.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_is_durable_and_shared(store: Store) -> None:
    with store.database.read() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 1]


_OPEN = """
import pathlib, sys
from rehost.store.database import Database
Database.open(pathlib.Path(sys.argv[1])).close()
"""


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OPEN, str(tmp_path / "rehost.db")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def _add_event(connection: sa.Connection, what: str) -> None:
    connection.execute(events.insert().values(subject="x", at=0.0, actor="a", what=what, detail=""))


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.database.write() as connection:
        _add_event(connection, "lost")
        raise ZeroDivisionError
    assert store.events.of("x") == ()


def test_writers_wait_for_each_other_and_lose_nothing(store: Store) -> None:
    def read_then_write() -> None:
        for _ in range(20):
            with store.database.write() as connection:
                count = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
                _add_event(connection, str(count))

    threads = [threading.Thread(target=read_then_write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.what for event in store.events.of("x")] == [str(number) for number in range(80)]


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.database.write() as connection:
        _add_event(connection, "unseen")
        assert store.events.of("x") == ()
    assert [event.what for event in store.events.of("x")] == ["unseen"]
