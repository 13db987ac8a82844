"""Nonces of signed requests: each is good once."""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rehost.store import audit
from rehost.store.audit import AuditEntry
from rehost.store.database import Database
from rehost.store.schema import nonces

_SWEEP_EVERY = 256  # uses between two removals of what has expired

_INSERT = nonces.insert()
_MARK = (nonces.c.key == "", nonces.c.nonce == "")  # no request has either; its expiry says what is spent


class _UsedError(Exception):
    """Ends the transaction."""


class Nonces:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._until_sweep = 0
        self._spent: float | None = None  # see `spend`; None: not looked up yet

    def use(self, key: str, nonce: str, expires: float, entry: AuditEntry | None = None) -> bool:
        """True the first time that an access key's nonce comes, False when it is used again.

        `expires` is when a request with this nonce would be too old anyway. The request's audit entry is
        written in the same transaction: it costs no other wait for the disk.
        """
        self._sweep_sometimes()
        if expires <= self._spent_until():
            return False
        try:
            with self._transaction(entry) as connection:
                _insert(connection, key, nonce, expires)
                if entry is not None:
                    audit.begin(connection, entry)
        except _UsedError:
            return False
        return True

    def spend(self, until: float) -> None:
        """Every nonce that expires by then counts as used, for whoever opens these records later: which were
        used in a time that is forgotten nobody knows."""
        with self._database.write() as connection:
            connection.execute(sa.delete(nonces).where(*_MARK))
            connection.execute(_INSERT, {"key": "", "nonce": "", "expires": until})

    def _spent_until(self) -> float:
        if self._spent is None:
            with self._database.read() as connection:
                self._spent = connection.scalar(sa.select(nonces.c.expires).where(*_MARK)) or 0.0
        return self._spent

    def _transaction(self, entry: AuditEntry | None) -> AbstractContextManager[sa.Connection]:
        """What is in the audit trail outlives a power cut; a nonce alone need not, and waits for no disk."""
        return self._database.append() if entry is None else self._database.write()

    def _sweep_sometimes(self) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = _SWEEP_EVERY
        with self._database.write() as connection:
            connection.execute(sa.delete(nonces).where(nonces.c.expires < self._database.now()))


def _insert(connection: sa.Connection, key: str, nonce: str, expires: float) -> None:
    try:
        connection.execute(_INSERT, {"key": key, "nonce": nonce, "expires": expires})
    except IntegrityError:
        raise _UsedError from None
