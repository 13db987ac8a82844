"""Indexes for what the API lists by, and room for numbers that only grow."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INDEXES = (
    ("source_servers_newest", "source_servers", ["account", "created", "id"]),
    ("source_servers_name", "source_servers", ["account", "name", "created", "id"]),
    ("source_servers_version", "source_servers", ["id", "assignment_version"]),
    ("jobs_newest", "jobs", ["account", "created", "id"]),
    ("jobs_region", "jobs", ["account", "region", "created", "id"]),
    ("jobs_status", "jobs", ["account", "status", "created", "id"]),
    ("jobs_state", "jobs", ["status", "business_status"]),
    ("jobs_due", "jobs", ["status", "scheduled_start"]),
)
_OF_WHAT_IS_GIVEN = (("jobs_group", "resource_group_id"), ("jobs_instance", "instance_id"))
_GROWING = (
    ("events", "id"),
    ("audit", "id"),
    ("activation_codes", "count"),
    ("activation_codes", "used"),
    ("source_servers", "assignment_version"),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)
    for name, column in _OF_WHAT_IS_GIVEN:
        where = sa.text(f"{column} <> ''")
        columns = ["account", column, "created", "id"]
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
    op.create_index(
        "source_servers_deleting",
        "source_servers",
        ["id"],
        sqlite_where=sa.text("deleting = 1"),
        postgresql_where=sa.text("deleting"),
    )
    if op.get_context().dialect.name == "postgresql":  # SQLite's integers have 64 bits
        for table, name in _GROWING:
            op.alter_column(table, name, type_=sa.BigInteger())
