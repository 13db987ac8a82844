"""Bring a database to the newest schema."""

from pathlib import Path

import sqlalchemy as sa


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run what is missing of the migrations in the caller's transaction, which has to be alone: of two
    servers that start at the same time one does it, and the other finds it done."""
    from alembic import command  # half a second, which commands that only print their help need not wait for
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
