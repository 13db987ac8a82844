"""The audit trail as records: written in the background, complete after a close, removed in time."""

import time
from pathlib import Path

from rehost.store.audit import AuditEntry, AuditFilter
from rehost.store.store import Store


def entry(number: int, at: float = 1_700_000_000.0) -> AuditEntry:
    """Of the time of the tests' clock."""
    resources = (f"acs:smc:*:1:sourceServer/{number}",)
    return AuditEntry(at, f"R-{number}", "1", "", "LTAI", "smc:A", resources, "127.0.0.1", "OK", 0.1)


def test_entries_come_back_page_by_page_oldest_first(store: Store) -> None:
    entries = [entry(number) for number in range(2500)]
    for one in entries:
        store.audit.add(one)
    store.audit.flush()
    assert list(store.audit.each(AuditFilter())) == entries
    assert store.audit.newest(AuditFilter(), 2) == (entries[-1], entries[-2])


def test_they_are_written_without_anybody_asking(store: Store) -> None:
    store.audit.add(entry(1))
    end = time.monotonic() + 30
    while not store.audit.newest(AuditFilter(), 1):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_close_loses_nothing(store: Store, records: Path | str) -> None:
    for number in range(100):
        store.audit.add(entry(number))
    store.close()
    again = Store.open(records, bytes(32))
    assert len(list(again.audit.each(AuditFilter()))) == 100
    again.close()


def test_what_cannot_be_written_is_kept_and_written_later(store: Store) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO gone")
    for number in range(3):
        store.audit.add(entry(number))
    time.sleep(1.5)  # some turns of the writer
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO audit")
    store.audit.flush()
    assert [one.request_id for one in store.audit.each(AuditFilter())] == ["R-0", "R-1", "R-2"]


def test_old_entries_go(store: Store, clock) -> None:
    store.audit.add(entry(1, clock.time - 8 * 86400))
    store.audit.add(entry(2, clock.time - 6 * 86400))
    store.audit.flush()
    store.audit.kept_days = 7
    assert store.audit.sweep() == 1
    assert [one.request_id for one in store.audit.each(AuditFilter())] == ["R-2"]
