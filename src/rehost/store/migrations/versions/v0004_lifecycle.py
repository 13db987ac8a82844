"""Events tell a job's state, jobs whether they are cut over; one column has all of the system disk;
client tokens are kept for all actions, and runs keep what their stages take."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SYSTEM_DISK = """
UPDATE jobs SET system_disk = '{"index": 0, "size": ' || COALESCE(CAST(system_disk_size AS TEXT), 'null')
    || ', "parts": ' || system_disk_parts || '}'
"""


def upgrade() -> None:
    op.add_column("events", sa.Column("state", sa.String(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("cut_over", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("system_disk", sa.Text(), nullable=False, server_default='{"index":0}'))
    op.execute(_SYSTEM_DISK)
    op.add_column("runs", sa.Column("course", sa.Text()))
    op.create_table(
        "client_tokens",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "action", "token"),
    )
    op.create_index(op.f("ix_client_tokens_created"), "client_tokens", ["created"], unique=False)
    op.drop_index("jobs_token", "jobs")
    for name in ("system_disk_size", "system_disk_parts", "disks", "client_token"):
        op.drop_column("jobs", name)
