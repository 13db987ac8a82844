"""Bring a database to the newest schema."""

from pathlib import Path

import sqlalchemy as sa

from rehost.core.errors import RecordsNewerError


def upgrade(connection: sa.Connection, to: str = "head") -> None:
    """Run what is missing of the migrations in the caller's transaction, which has to be alone: of two
    servers that start at the same time one does it, and the other finds it done.

    RecordsNewerError when a later release has been at the database.
    """
    from alembic import command  # half a second, which commands that only print their help need not wait for
    from alembic.config import Config
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        raise RecordsNewerError(
            "the records are of a later release of rehost, which this one does not know",
            "install that one again, or bring back a backup from before the upgrade",
        ) from error
