"""Accounts, users, roles and policies; temporary keys; the audit trail."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _identities()
    _temporary_keys()
    _audit()
    _known_accounts()


def _identities() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("created", sa.Float(), nullable=False),
    )
    op.create_table(
        "principals",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("created", sa.Float(), nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
    )
    op.create_table(
        "attachments",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("principal", sa.String(), primary_key=True),
        sa.Column("policy", sa.String(), primary_key=True),
    )


def _temporary_keys() -> None:
    for name, kind in (
        ("principal", sa.String()),
        ("issuer", sa.String()),
        ("token_digest", sa.String()),
        ("session", sa.String()),
        ("policy", sa.Text()),
    ):
        op.add_column("access_keys", sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("access_keys", sa.Column("expires", sa.Float()))
    op.create_index("ix_access_keys_issuer", "access_keys", ["issuer"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False, unique=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float()),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_account", "audit", ["account"])


def _known_accounts() -> None:
    """Accounts were only a column of other tables; each gets a row, named like its id."""
    query = " UNION ".join(
        f"SELECT account FROM {table}"
        for table in ("access_keys", "activation_codes", "source_servers", "jobs")
    )
    connection = op.get_bind()
    for (account,) in connection.execute(sa.text(query)).all():
        connection.execute(
            sa.text("INSERT INTO accounts (id, name, created) VALUES (:id, :id, :now)"),
            {"id": account, "now": time.time()},
        )
