"""Indexes of the source servers that are offline or in error: listings by state look at these only."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("source_servers_heartbeat", "source_servers", ["heartbeat"])
    where = sa.text("error_code <> ''")
    op.create_index(
        "source_servers_error", "source_servers", ["id"], sqlite_where=where, postgresql_where=where
    )
