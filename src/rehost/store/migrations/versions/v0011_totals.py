"""How many rows an account has is kept, and not counted for each page.

By triggers: whoever adds or removes a row, by whatever statement, the number is right.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COUNTED = ("jobs", "source_servers")

_SQLITE = (
    """CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN
        INSERT INTO totals (account, kind, number) VALUES (NEW.account, '{table}', 1)
        ON CONFLICT (account, kind) DO UPDATE SET number = number + 1;
    END""",
    """CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN
        UPDATE totals SET number = number - 1 WHERE account = OLD.account AND kind = '{table}';
    END""",
)
_POSTGRESQL_FUNCTION = """CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO totals (account, kind, number) VALUES (NEW.account, TG_TABLE_NAME, 1)
            ON CONFLICT (account, kind) DO UPDATE SET number = totals.number + 1;
        ELSE
            UPDATE totals SET number = number - 1 WHERE account = OLD.account AND kind = TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END $$"""
_POSTGRESQL = (
    """CREATE TRIGGER {table}_counted AFTER INSERT OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION count_rows()""",
)


def upgrade() -> None:
    op.create_table(
        "totals",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        op.execute(_POSTGRESQL_FUNCTION)
    for table in _COUNTED:
        op.execute(f"INSERT INTO totals SELECT account, '{table}', count(*) FROM {table} GROUP BY account")
        for trigger in _SQLITE if sqlite else _POSTGRESQL:
            op.execute(trigger.format(table=table))
