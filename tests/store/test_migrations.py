"""What jobs of an earlier schema have comes along."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import rehost.store.migrations
from rehost.store.jobspec import DiskSpec, PartSpec
from rehost.store.store import DATABASE_FILE, Store

PARTS = '[{"device":"0_0","size":5,"block":true}]'


def migrate(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(rehost.store.migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def old_job(engine: sa.Engine, size: int | None) -> None:
    """A row of the schema's second revision, with an empty value of each column's type."""
    metadata = sa.MetaData()
    metadata.reflect(engine, only=["jobs"])
    table = metadata.tables["jobs"]
    empty = {c.name: "" if isinstance(c.type, sa.String) else 0 for c in table.columns if not c.nullable}
    words = {"status": "Ready", "business_status": "", "data_disks": "[]", "tags": "[]"}
    disk = {"system_disk_size": size, "system_disk_parts": PARTS}
    with engine.begin() as connection:
        connection.execute(table.insert().values(**{**empty, "id": "j-1", **words, **disk}))


@pytest.mark.parametrize("size", [None, 40])
def test_a_job_of_the_second_schema_keeps_its_system_disk(tmp_path: Path, size: int | None) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / DATABASE_FILE}")
    migrate(engine, "0002")
    old_job(engine, size)
    engine.dispose()
    with closing(Store.open(tmp_path, bytes(32))) as store:
        job = store.jobs.get("j-1")
    assert job.spec.system_disk == DiskSpec(0, size, (PartSpec("0_0", 5),))
    assert not job.cut_over
