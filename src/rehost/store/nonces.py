"""Nonces of signed requests: each is good once."""

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rehost.store.database import Database
from rehost.store.schema import nonces

_SWEEP_EVERY = 256  # uses between two removals of what has expired

_INSERT = nonces.insert()


class Nonces:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._until_sweep = 0

    def use(self, key: str, nonce: str, expires: float) -> bool:
        """True the first time that an access key's nonce comes, False when it is used again.

        `expires` is when a request with this nonce would be too old anyway.
        """
        self._sweep_sometimes()
        try:
            with self._database.append() as connection:
                connection.execute(_INSERT, {"key": key, "nonce": nonce, "expires": expires})
        except IntegrityError:
            return False
        return True

    def _sweep_sometimes(self) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = _SWEEP_EVERY
        with self._database.write() as connection:
            connection.execute(sa.delete(nonces).where(nonces.c.expires < self._database.now()))
