"""Events tell a job's state, jobs whether they are cut over; one column has all of the system disk."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
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
    for name in ("system_disk_size", "system_disk_parts", "disks"):
        op.drop_column("jobs", name)
