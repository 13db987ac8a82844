"""A database of any earlier revision, with rows in it, becomes one of today and loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from rehost.core.agentapi import Register
from rehost.core.errors import RecordsNewerError
from rehost.core.job import JobState
from rehost.store import postgresql, sqlite, upgrade
from rehost.store.codes import CodeFilter
from rehost.store.database import Database
from rehost.store.jobs import JobFilter
from rehost.store.jobspec import DiskSpec, JobSpec, PartSpec
from rehost.store.paging import Page
from rehost.store.schema import metadata
from rehost.store.serverrow import ServerFilter
from rehost.store.store import DATABASE_FILE, Store
from rehost.store.tags import Tag

SCRIPTS = ScriptDirectory(str(Path(upgrade.__file__).parent / "migrations"))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]

# One row of each table. A migration that adds a column without a default, or moves what is in one elsewhere,
# adds the new place here.
INVENTORY = (
    '{"hostname":"web1","platform":"Debian","architecture":"x86_64","kernel":"6.1.0","boot_mode":"bios",'
    '"cores":2,"memory":4294967296,"disks":[{"index":0,"path":"/dev/sda","size":8589934592}]}'
)
ROWS = {
    "access_keys": {
        "id": "LTAI1", "account": "one", "secret": b"sealed", "status": "Active", "created": 1.5,
    },
    "nonces": {"key": "LTAI1", "nonce": "n", "expires": 2e9},
    "activation_codes": {
        "id": "at-1", "account": "one", "digest": "d", "name": "code", "description": "", "count": 5,
        "used": 1, "expires": 2e9, "status": "activated", "created": 1.5,
    },
    "source_servers": {
        "id": "s-1", "account": "one", "secret_hash": "h", "name": "web1", "description": "mine",
        "deleting": False, "inventory": INVENTORY, "system_info": "{}", "agent_version": "0.1",
        "heartbeat": 1.5, "heartbeat_rate": 30, "error_code": "", "error_msg": "", "assignment": None,
        "assignment_version": 4, "created": 1.25,
    },
    "jobs": {
        "id": "j-1", "account": "one", "source_id": "s-1", "client_token": "t", "region": "cn-hangzhou",
        "name": "job", "description": "of mine", "target_type": "Image", "scheduled_start": None,
        "valid_until": 2e9, "image_name": "golden", "instance_id": "", "system_disk_size": 40,
        "system_disk": '{"index":0,"size":40,"parts":[{"device":"0_0","size":1073741824,"block":true}]}',
        "system_disk_parts": '[{"device":"0_0","size":1073741824,"block":true}]',
        "data_disks": '[{"index":1,"size":20,"parts":[]}]', "disks": None,
        "tags": '[{"key":"k","value":"v"}]', "vpc_id": "", "vswitch_id": "",
        "replication_parameters": "{}", "net_mode": 0, "run_once": True, "frequency": None,
        "max_images": None, "instance_type": "", "instance_ram_role": "", "container_namespace": "",
        "container_repository": "", "container_tag": "", "license_type": "", "launch_template_id": "",
        "launch_template_version": "", "resource_group_id": "", "job_type": None, "status": "Finished",
        "business_status": "",
        "error_code": "", "status_info": "", "progress": 100.0, "image_id": "m-1",
        "transition_instance_id": "", "current_run": "r-1", "created": 1.75, "started": 2.0, "ended": 3.0,
    },
    "tags": {
        "resource": "j-1", "key": "k", "value": "v", "account": "one", "kind": "replicationjob",
    },
    "runs": {
        "id": "r-1", "job": "j-1", "number": 1, "generation": 2, "type": "Manual", "started": 2.0,
        "ended": 3.0, "image_id": "m-1", "progress": None, "result": None, "error": "",
    },
    "images": {
        "id": "m-1", "account": "one", "job": "j-1", "run": "r-1", "name": "golden", "region": "cn-hangzhou",
        "description": "", "path": "/there", "disks": '["disk-0.qcow2"]', "state": "Available",
        "created": 3.0,
    },
    "webhooks": {
        "id": "wh-1", "account": "one", "url": "https://h/", "events": "[]", "secret": b"sealed",
        "enabled": True, "reason": "", "created": 1.5, "cursor": 0, "attempts": 0, "failing_since": 0.0,
        "due": 0.0, "claimed": 0.0,
    },
    "deliveries": {
        "webhook": "wh-1", "message": "msg_1", "type": "job.create", "subject": "j-1", "at": 1.75,
        "attempt": 1, "status": 204, "error": "", "seconds": 0.1,
    },
    "events": {"subject": "j-1", "at": 1.75, "actor": "LTAI1", "what": "CREATE", "detail": "x"},
}  # fmt: skip


@pytest.fixture
def empty(records: Path | str, request: pytest.FixtureRequest) -> Path | str:
    """A database without any table, as `Database.open` takes it."""
    if isinstance(records, Path):
        return records / DATABASE_FILE
    url: str = request.getfixturevalue("url")
    return url


def at_revision(where: Path | str, revision: str) -> None:
    """Make the tables of a revision, with its rows."""
    engine = sqlite.engine(where) if isinstance(where, Path) else postgresql.engine(where)
    with engine.begin() as connection:
        upgrade.upgrade(connection, revision)
        there = sa.inspect(connection).get_table_names()
        for name, row in ROWS.items():
            if name in there:
                table = sa.Table(name, sa.MetaData(), autoload_with=connection)
                values = {column: value for column, value in row.items() if column in table.c}
                connection.execute(table.insert().values(values))
    engine.dispose()


def differences(database: Database) -> list[object]:
    with database.read() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_migrations_make_the_schema(store: Store) -> None:
    assert differences(store.database) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_any_revision_becomes_one_of_today(
    empty: Path | str, records: Path | str, revision: str
) -> None:
    at_revision(empty, revision)
    database = Database.open(empty, lambda: 4.0)
    assert differences(database) == []
    store = Store.on(database, bytes(32))
    job, (run,) = store.jobs.get("j-1"), store.runs.of_jobs(["j-1"])["j-1"]
    assert (job.state, job.spec.name, job.spec.source_id) == (JobState.FINISHED, "job", "s-1")
    assert job.spec.system_disk == DiskSpec(0, 40, (PartSpec("0_0", 1 << 30),))
    assert job.spec.data_disks == (DiskSpec(1, 20),)
    assert not job.cut_over
    assert store.tags.of(["j-1"]) == {"j-1": (Tag("k", "v"),)}
    assert (run.id, run.generation) == ("r-1", 2)
    server = store.servers.get("s-1")
    assert (server.inventory.disks[0].size, server.job_id, server.created) == (8 << 30, "j-1", 1.25)
    assert store.assignments.get("s-1") == (4, None)
    assert store.images.get("m-1").disks == ("disk-0.qcow2",)
    found = store.codes.find("one", CodeFilter(), Page(1, 10)).items
    assert [(code.id, code.used) for code in found] == [("at-1", 1)]
    assert not store.nonces.use("LTAI1", "n", 2e9)
    assert [event.what for event in store.events.of("j-1")] == ["CREATE"]
    check_totals(store)
    store.close()


def check_totals(store: Store) -> None:
    """The kept numbers are right, and go with the rows."""

    def totals() -> tuple[int, int]:
        sources = store.servers.find("one", ServerFilter(), Page()).total
        return sources, store.jobs.find("one", JobFilter(), Page()).total

    assert totals() == (1, 1)
    inventory = store.servers.get("s-1").inventory
    second = store.servers.register(Register(store.codes.create("one", "new")[1], "a" * 64, inventory, "1"))
    store.jobs.create("one", JobSpec(second.id), None, "test")
    assert totals() == (2, 2)
    store.servers.remove(second.id)
    assert totals() == (1, 2)


def test_after_a_migration_new_rows_come_after_the_old_ones(empty: Path | str) -> None:
    at_revision(empty, REVISIONS[0])
    store = Store.on(Database.open(empty), bytes(32))
    store.events.add("j-1", "k", "LATER")
    assert [event.what for event in store.events.of("j-1")] == ["CREATE", "LATER"]
    store.close()


_OPEN = """
import pathlib, sys
from rehost.store.database import Database
Database.open(sys.argv[1] if "://" in sys.argv[1] else pathlib.Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("revision", ["", REVISIONS[0]])
def test_many_processes_may_open_a_database_at_once(empty: Path | str, revision: str) -> None:
    """One of them migrates it, the others wait."""
    if revision:
        at_revision(empty, revision)
    command = [sys.executable, "-c", _OPEN, str(empty)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    database = Database.open(empty)
    assert differences(database) == []
    database.close()


def test_records_of_a_later_release_are_told_and_left_alone(records: Path | str) -> None:
    where = records / DATABASE_FILE if isinstance(records, Path) else records
    database = Database.open(where)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
    database.close()
    with pytest.raises(RecordsNewerError, match="later release"):
        Database.open(where)
