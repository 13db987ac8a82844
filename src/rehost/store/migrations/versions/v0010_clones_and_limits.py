"""Source servers know which machine shows their identity; jobs wait for room."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source_servers", sa.Column("bearers", sa.Text()))
    op.add_column("jobs", sa.Column("wanted", sa.Float()))
    op.add_column("jobs", sa.Column("wanted_type", sa.String()))
    there = sa.text("wanted IS NOT NULL")
    op.create_index("jobs_wanted", "jobs", ["wanted"], sqlite_where=there, postgresql_where=there)
