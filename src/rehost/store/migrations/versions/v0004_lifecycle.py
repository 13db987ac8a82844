"""Events tell a job's state, and jobs whether they are cut over."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("state", sa.String(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("cut_over", sa.Boolean(), nullable=False, server_default=sa.false()))
