"""Runs keep how their image was made and how it booted."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("conversion", sa.Text(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("boot_check", sa.Text(), nullable=False, server_default=""))
