"""The engine's own records, for whoever does not run it: to load DBOS takes a third of a second."""

from pathlib import Path

import sqlalchemy as sa

from rehost.block.durable import remove_file
from rehost.store.postgresql import url


def forget(where: Path | str) -> None:
    """Drop the engine's records, while nobody has them open: what runs is started from its job's row."""
    if isinstance(where, Path):
        for suffix in ("", "-wal", "-shm"):
            remove_file(where.with_name(where.name + suffix))
        return
    engine = sa.create_engine(url(where))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS dbos CASCADE"))
    engine.dispose()
