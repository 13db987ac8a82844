"""Source servers know which machine shows their identity; jobs wait for room."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source_servers", sa.Column("bearers", sa.Text()))
    op.add_column("jobs", sa.Column("wanted", sa.Float()))
