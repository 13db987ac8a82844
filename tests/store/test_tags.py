import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.core.errors import TaggedResourceError, TooManyTagsError
from rehost.core.job import Event
from rehost.store.codes import CodeFilter
from rehost.store.jobs import JobFilter
from rehost.store.jobspec import JobSpec
from rehost.store.paging import Page
from rehost.store.store import Store
from rehost.store.tags import MOST_TAGS, Tag, TagFilter, Taggable, TagRow


def _rows(store: Store, *tags: Tag, kind: Taggable = Taggable.SOURCE) -> list[TagRow]:
    return list(store.tags.find("one", TagFilter(kind, tags=tags), ("", ""), 1000))


def test_tags_come_and_go(store: Store, register) -> None:
    source = register().id
    store.tags.add("one", Taggable.SOURCE, [source], [Tag("b", "1"), Tag("a")])
    store.tags.add("one", Taggable.SOURCE, [source], [Tag("b", "2")])
    assert store.tags.of([source, "s-none"]) == {source: (Tag("a"), Tag("b", "2")), "s-none": ()}
    store.tags.remove("one", Taggable.SOURCE, [source], ["a", "none"])
    assert _rows(store) == [TagRow(source, "b", "2")]
    store.tags.remove("one", Taggable.SOURCE, [source], None)
    assert _rows(store) == []


def test_a_resource_has_no_more_than_its_tags_however_they_come(store: Store, register) -> None:
    one, two = register("a").id, register("b").id
    many = [Tag(str(number)) for number in range(MOST_TAGS)]
    store.tags.add("one", Taggable.SOURCE, [one], many)
    store.tags.add("one", Taggable.SOURCE, [one], [Tag("0", "again")])
    with pytest.raises(TooManyTagsError, match=one):
        store.tags.add("one", Taggable.SOURCE, [two, one], [Tag("another")])
    assert store.tags.of([two]) == {two: ()}


def test_what_is_not_there_cannot_be_tagged(store: Store, register) -> None:
    source, other = register("a").id, register("b", "two").id
    for kind, resource in (
        (Taggable.SOURCE, other),
        (Taggable.SOURCE, "s-none"),
        (Taggable.JOB, source),
        (Taggable.WORKGROUP, source),
    ):
        with pytest.raises(TaggedResourceError, match=resource):
            store.tags.add("one", kind, [resource], [Tag("k")])
        with pytest.raises(TaggedResourceError):
            store.tags.remove("one", kind, [resource], None)
        with pytest.raises(TaggedResourceError):
            store.tags.find("one", TagFilter(kind, [resource]), ("", ""), 10)


def test_rows_that_stay_are_found_once_while_others_come_and_go(store: Store, register) -> None:
    sources = sorted(register(letter).id for letter in "abcdef")
    for source in sources:
        store.tags.add("one", Taggable.SOURCE, [source], [Tag("k"), Tag("l")])
    found: list[TagRow] = []
    while page := store.tags.find(
        "one", TagFilter(Taggable.SOURCE), (found[-1].resource, found[-1].key) if found else ("", ""), 3
    ):
        found += page
        store.tags.remove("one", Taggable.SOURCE, [found[-1].resource, sources[0]], None)
        store.tags.add("one", Taggable.SOURCE, [sources[0]], [Tag("new")])
    assert len(found) == len(set(found))
    stayed = {TagRow(source, key, "") for source in sources for key in "kl"}
    assert {row for row in found if row.resource in sources[2:]} <= stayed
    assert found == sorted(found, key=lambda row: (row.resource, row.key))


def test_jobs_by_their_tags(store: Store, register) -> None:
    one, two = (
        store.jobs.create("one", JobSpec(register(letter).id), None, "k", tags=tags).id
        for letter, tags in (("a", [Tag("team", "web"), Tag("x")]), ("b", [Tag("team", "db")]))
    )

    def found(*tags: Tag) -> set[str]:
        return {job.id for job in store.jobs.find("one", JobFilter(tags=tags), Page()).items}

    assert found(Tag("team")) == {one, two}
    assert found(Tag("team", "web")) == found(Tag("team"), Tag("x")) == {one}
    assert found(Tag("team", "WEB")) == found(Tag("Team")) == found(Tag("team", "web"), Tag("y")) == set()


def test_tags_end_with_their_resource(store: Store, register) -> None:
    source = register().id
    job = store.jobs.create("one", JobSpec(source), None, "k", tags=[Tag("k")]).id
    store.tags.add("one", Taggable.SOURCE, [source], [Tag("k")])
    store.jobs.apply(job, Event.DELETE, "k")
    store.jobs.remove(job)
    store.servers.remove(source)
    assert store.tags.of([job, source]) == {job: (), source: ()}


def test_filters_by_tag_use_an_index(tmp_path: Path) -> None:
    """Of SQLite, which reads a whole table when no index fits; PostgreSQL does with small ones anyway."""
    with closing(Store.open(tmp_path, bytes(32))) as store, store.database.read() as connection:
        plan = connection.execute(
            sa.text(
                "EXPLAIN QUERY PLAN SELECT resource FROM tags"
                " WHERE account = 'a' AND kind = 'b' AND key = 'c' AND value = 'd'"
            )
        ).all()
    assert "tags_found" in str(plan)


def test_tags_of_jobs_move_into_the_table(tmp_path: Path) -> None:
    """From a database of the revision before, with jobs in it."""
    from alembic import command
    from alembic.config import Config

    from rehost.store import migrations

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'rehost.db'}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    with sqlite3.connect(tmp_path / "rehost.db") as raw:
        _row(raw, "jobs", id="j-1", account="one", tags='[{"key":"k","value":"v"},{"key":"e"}]')
        _row(raw, "jobs", id="j-2", account="one", tags="[]")
        _row(raw, "activation_codes", id="at-1", account="one", digest="d", status="deactivated")
    raw.close()
    store = Store.open(tmp_path, bytes(32))
    assert store.tags.of(["j-1", "j-2"]) == {"j-1": (Tag("e"), Tag("k", "v")), "j-2": ()}
    assert [code.status for code in store.codes.find("one", CodeFilter(), Page()).items] == ["unactivated"]
    store.close()


def _row(raw: sqlite3.Connection, table: str, **values: str) -> None:
    """A row of an old schema: what is not given is empty, or its id."""
    table_info = raw.execute(f"PRAGMA table_info({table})").fetchall()
    numbers = {name for _, name, kind, *_ in table_info if kind in ("INTEGER", "FLOAT", "BOOLEAN")}
    needed = {name for _, name, _, needed, *_ in table_info if needed}
    row = {name: 0 if name in numbers else values["id"] for name in needed} | values
    marks = ", ".join("?" * len(row))
    raw.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
