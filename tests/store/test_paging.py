"""Pages of listings: their totals are kept where all rows count, and counted where a filter is given."""

import random

import pytest
import sqlalchemy as sa

from rehost.store.jobs import JobFilter
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Page, given
from rehost.store.schema import jobs, source_servers
from rehost.store.serverrow import ServerFilter
from rehost.store.store import Store

ACCOUNTS = ("one", "two")


def counted(store: Store, table: sa.Table, account: str) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.account == account)
    with store.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def check(store: Store) -> None:
    for account in ACCOUNTS:
        for find, table in ((store.servers.find, source_servers), (store.jobs.find, jobs)):
            want = ServerFilter() if table is source_servers else JobFilter()
            found = find(account, want, Page(size=50))  # type: ignore[operator]
            assert found.total == len(found.items) == counted(store, table, account)


def test_totals_go_with_the_rows(store: Store, register) -> None:
    chance, there = random.Random(11), []
    check(store)
    for number in range(24):
        if there and chance.random() < 0.4:
            store.servers.remove(there.pop(chance.randrange(len(there))))
        else:
            server = register(
                f"{number:064x}"[-1] if number < 16 else chr(71 + number), chance.choice(ACCOUNTS)
            )
            there.append(server.id)
            store.jobs.create(server.account, JobSpec(server.id), None, "test")
        check(store)
    with store.database.write() as connection:
        connection.execute(sa.delete(jobs).where(jobs.c.account == "one"))
    check(store)


def test_what_a_transaction_takes_back_does_not_count(store: Store, register) -> None:
    register()
    with pytest.raises(ZeroDivisionError), store.database.write() as connection:
        connection.execute(sa.delete(source_servers))
        raise ZeroDivisionError
    check(store)


def test_conditions_that_count() -> None:
    assert given(JobFilter(name="", job_ids=(), job_type=0, region="r")) == {"job_type": 0, "region": "r"}
    assert given(JobFilter()) == given(ServerFilter()) == {}
