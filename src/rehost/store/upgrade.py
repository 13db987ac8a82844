"""Bring a database to the newest schema, by one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

_ADVISORY_LOCK = 0x7265686F7374  # "rehost"


def upgrade(engine: sa.Engine, path: Path | None) -> None:
    """Run what is missing of the migrations; `path` is the file of an SQLite database."""
    from alembic import command  # half a second, which commands that only print their help need not wait for
    from alembic.config import Config

    with _alone(engine, path), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: sa.Engine, path: Path | None) -> Iterator[None]:
    """SQLite has no advisory locks: the lock is a file beside the database."""
    if path is None:
        yield
        return
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
