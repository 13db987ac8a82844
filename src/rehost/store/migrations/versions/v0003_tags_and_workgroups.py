"""Tags of all resources in a table of their own; workgroups; codes that were disabled are `unactivated`."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_workgroups()
    _add_tags()
    _move_tags_of_jobs()
    op.drop_column("jobs", "tags")
    op.execute("UPDATE activation_codes SET status = 'unactivated' WHERE status = 'deactivated'")


def _add_workgroups() -> None:
    op.create_table(
        "workgroups",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_workgroups_account"), "workgroups", ["account"], unique=False)
    op.create_index("workgroups_name", "workgroups", ["account", "name"], unique=True)
    for name in ("workgroup_id", "resource_group_id"):
        op.add_column("source_servers", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.create_index(op.f("ix_source_servers_workgroup_id"), "source_servers", ["workgroup_id"], unique=False)


def _add_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("resource", "key"),
    )
    op.create_index("tags_listed", "tags", ["account", "kind", "resource", "key"], unique=False)
    op.create_index("tags_found", "tags", ["account", "kind", "key", "value", "resource"], unique=False)


def _move_tags_of_jobs() -> None:
    connection = op.get_bind()
    names = ("resource", "key", "value", "account", "kind")
    tags = sa.table("tags", *(sa.column(name) for name in names))
    rows = [
        dict(zip(names, (job, tag["key"], tag.get("value", ""), account, "replicationjob"), strict=True))
        for job, account, text in connection.execute(sa.text("SELECT id, account, tags FROM jobs"))
        for tag in json.loads(text)
    ]
    if rows:
        connection.execute(tags.insert(), rows)
