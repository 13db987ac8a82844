"""Transactions, on both databases: what they hold together, who waits for whom, what is refused."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.core.errors import DatabaseUnavailableError, InvalidValueError
from rehost.store import sqlite
from rehost.store.database import Database
from rehost.store.postgresql import GIVEN_UP
from rehost.store.schema import events
from rehost.store.store import Store
from tests.postgresql import Cluster


def test_sqlite_is_durable_and_shared(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "rehost.db")
    with database.write() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert pragmas == ["wal", 2, 1]


def _add_event(connection: sa.Connection, what: str) -> None:
    connection.execute(events.insert().values(subject="x", at=0.0, actor="a", what=what, detail=""))


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.database.write() as connection:
        _add_event(connection, "lost")
        raise ZeroDivisionError
    assert store.events.of("x") == ()


def test_what_is_done_together_is_one_transaction(store: Store) -> None:
    with store.database.together():
        store.events.add("x", "a", "first")
        assert len(store.events.of("x")) == 1  # a part sees what was done before it
        store.events.add("x", "a", "second")
        seen = ThreadPoolExecutor(1).submit(store.events.of, "x").result()
    assert seen == ()
    assert [event.what for event in store.events.of("x")] == ["first", "second"]


def test_of_what_is_done_together_nothing_is_kept_when_the_end_raises(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.database.together():
        store.events.add("x", "a", "lost")
        raise ZeroDivisionError
    assert store.events.of("x") == ()


def test_a_part_that_raised_ends_the_whole(store: Store) -> None:
    """Who goes on after an error does not keep the half of it."""

    def go_on() -> None:
        with store.database.together():
            store.events.add("x", "a", "lost")
            with suppress(InvalidValueError):
                store.events.add("x", "a", "what\0ever")
            store.events.add("x", "a", "lost too")

    with pytest.raises(sa.exc.InvalidRequestError):
        go_on()
    assert store.events.of("x") == ()
    store.events.add("x", "a", "later")
    assert [event.what for event in store.events.of("x")] == ["later"]


def test_writers_wait_for_each_other_and_lose_nothing(store: Store, records: Path | str) -> None:
    """Threads of one process, and two processes as far as the database can tell."""
    other = Store.open(records, bytes(32))

    def read_then_write(database: Database) -> None:
        for _ in range(20):
            with database.write() as connection:
                count = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
                _add_event(connection, str(count))

    of = (store.database, store.database, other.database, other.database)
    threads = [threading.Thread(target=read_then_write, args=(database,)) for database in of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert [event.what for event in store.events.of("x")] == [str(number) for number in range(80)]


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.database.write() as connection:
        _add_event(connection, "unseen")
        assert store.events.of("x") == ()
    assert [event.what for event in store.events.of("x")] == ["unseen"]


def test_a_reader_sees_one_state(store: Store) -> None:
    """A page and its count are of the same moment."""
    count = sa.select(sa.func.count()).select_from(events)
    with store.database.read() as connection:
        before = connection.execute(count).scalar_one()
        store.events.add("x", "a", "meanwhile")
        assert connection.execute(count).scalar_one() == before
    with store.database.read() as connection:
        assert connection.execute(count).scalar_one() == before + 1


def test_all_reads_of_one_state_see_the_same(store: Store) -> None:
    with store.database.one_state():
        before = store.events.of("x")
        with store.database.write() as connection:
            _add_event(connection, "later")
        assert store.events.of("x") == before == ()
    assert len(store.events.of("x")) == 1


def test_a_look_that_raises_does_not_end_the_others(store: Store) -> None:
    with store.database.one_state():
        with pytest.raises(ZeroDivisionError), store.database.read():
            raise ZeroDivisionError
        assert store.events.of("x") == ()


def test_what_is_appended_is_there_for_others(store: Store, records: Path | str) -> None:
    other = Store.open(records, bytes(32))
    with store.database.append() as connection:
        _add_event(connection, "added")
    assert [event.what for event in other.events.of("x")] == ["added"]
    other.close()


def test_a_nul_character_is_refused(store: Store) -> None:
    with pytest.raises(InvalidValueError, match="NUL"):
        store.events.add("x", "a", "what\0ever")
    assert store.events.of("x") == ()


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite:///x.db", "nonsense", "postgresql:/"])
def test_another_databases_url_is_refused(url: str) -> None:
    with pytest.raises((InvalidValueError, DatabaseUnavailableError)):
        Database.open(url)


def test_a_database_that_cannot_be_reached_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be used"):
        Database.open(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(DatabaseUnavailableError, match="cannot be used"):
        Database.open(tmp_path / "no folder" / "rehost.db")


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the file for long; the same wait as of PostgreSQL's lock_timeout."""
    holder = Database.open(tmp_path / "rehost.db")
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    waiting = Database(sqlite.engine(tmp_path / "rehost.db"))
    with holder.write(), pytest.raises(DatabaseUnavailableError), waiting.write():
        raise AssertionError("two writers at once")
    holder.close()
    waiting.close()


def test_a_restart_of_the_database_is_survived(restarted: Cluster) -> None:
    store = Store.open(restarted.make(), bytes(32))
    store.events.add("x", "a", "before")
    restarted.stop()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError):
        store.events.of("x")
    with pytest.raises(DatabaseUnavailableError):
        store.events.add("x", "a", "meanwhile")
    assert time.monotonic() - began < 30, "an answer that nobody waits for"
    restarted.start()
    store.events.add("x", "a", "after")
    assert [event.what for event in store.events.of("x")] == ["before", "after"]
    store.close()


def test_a_restart_in_the_middle_of_a_transaction_undoes_it(restarted: Cluster) -> None:
    store = Store.open(restarted.make(), bytes(32))
    with pytest.raises(DatabaseUnavailableError), store.database.write() as connection:
        _add_event(connection, "half")
        restarted.stop()
        restarted.start()
        _add_event(connection, "a whole")
    assert store.events.of("x") == ()
    store.close()


def test_a_writer_that_stands_still_loses_its_turn(
    postgresql: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that was stopped, or lost its power, between two statements: the others go on."""
    monkeypatch.setitem(GIVEN_UP, "idle_in_transaction_session_timeout", "200ms")
    url = postgresql.make()
    still, other = Store.open(url, bytes(32)), Store.open(url, bytes(32))
    with pytest.raises(DatabaseUnavailableError), still.database.write() as connection:
        _add_event(connection, "half")
        other.events.add("x", "a", "the other's")
        _add_event(connection, "a whole")
    still.events.add("x", "a", "later")
    assert [event.what for event in still.events.of("x")] == ["the other's", "later"]
    still.close()
    other.close()
    postgresql.drop(url)
