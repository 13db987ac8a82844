"""Hosts, and which of them has a job's volumes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("receiver_host", sa.String(), nullable=False),
        sa.Column("receiver_port", sa.Integer(), nullable=False),
        sa.Column("free", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("volumes", sa.String(), nullable=False),
        sa.Column("keys", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("lease", sa.Float()),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("jobs", sa.Column("host", sa.String(), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("host", sa.String(), nullable=False, server_default=""))
