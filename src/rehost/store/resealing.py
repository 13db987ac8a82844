"""Sealing what is sealed by the newest key."""

import sqlalchemy as sa

from rehost.store.database import Database
from rehost.store.secretbox import SecretBox


def reseal(database: Database, box: SecretBox, table: sa.Table) -> int:
    """Seal all secrets of a table by the newest key; how many there are.

    A writer that sealed by an older key did so in a transaction that ends before this one begins: writers
    take turns.
    """
    with database.write() as connection:
        rows = connection.execute(sa.select(table.c.id, table.c.secret)).all()
        for row in rows:
            secret = box.seal(box.open(row.secret, row.id), row.id)
            connection.execute(table.update().where(table.c.id == row.id).values(secret=secret))
    return len(rows)
