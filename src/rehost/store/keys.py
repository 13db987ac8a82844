"""Access keys: who may call the API."""

import secrets
import string
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import NotFoundError
from rehost.store.database import Database
from rehost.store.schema import access_keys
from rehost.store.secretbox import SecretBox

_ONE = sa.select(access_keys).where(access_keys.c.id == sa.bindparam("key_id"))
_LETTERS = string.ascii_letters + string.digits


class KeyStatus(StrEnum):
    ACTIVE = "Active"
    INACTIVE = "Inactive"


@dataclass(frozen=True, slots=True)
class AccessKey:
    id: str
    account: str
    secret: str = field(repr=False)  # kept out of logs and tracebacks
    status: KeyStatus
    created: float


class AccessKeys:
    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def create(self, account: str) -> AccessKey:
        return self.add(account, *generate())

    def add(self, account: str, key_id: str, secret: str) -> AccessKey:
        """Keep a key that `generate` made."""
        key = AccessKey(key_id, account, secret, KeyStatus.ACTIVE, self._database.now())
        row = {"id": key.id, "account": account, "secret": self._box.seal(key.secret, key.id)}
        with self._database.write() as connection:
            connection.execute(access_keys.insert().values(**row, status=key.status, created=key.created))
        return key

    def get(self, key_id: str) -> AccessKey | None:
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"key_id": key_id}).first()
        return None if row is None else self._record(row)

    def all(self, account: str | None = None) -> tuple[AccessKey, ...]:
        query = sa.select(access_keys).order_by(access_keys.c.created, access_keys.c.id)
        if account is not None:
            query = query.where(access_keys.c.account == account)
        with self._database.read() as connection:
            return tuple(map(self._record, connection.execute(query)))

    def set_status(self, key_id: str, status: KeyStatus) -> None:
        update = access_keys.update().where(access_keys.c.id == key_id).values(status=status)
        with self._database.write() as connection:
            if not connection.execute(update).rowcount:
                raise NotFoundError(f"there is no access key {key_id}", "list them with: rehost key list")

    def _record(self, row: Any) -> AccessKey:
        secret = self._box.open(row.secret, row.id)
        return AccessKey(row.id, row.account, secret, KeyStatus(row.status), row.created)


def generate() -> tuple[str, str]:
    """Id and secret of a key that nobody has yet."""
    return f"LTAI{_random(20)}", _random(30)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
