"""Access keys: who may call the API. A temporary one has an end and a security token that goes with it."""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import NotFoundError
from rehost.store import principals
from rehost.store.database import Database
from rehost.store.resealing import reseal
from rehost.store.schema import access_keys
from rehost.store.secretbox import SecretBox

TEMPORARY = "STS."  # what the ids of temporary keys begin with
KEPT_EXPIRED = 86400.0  # seconds that a temporary key is known as expired before it is forgotten

TOKEN = re.compile(r"CAIS[A-Za-z0-9]{92}")  # what a security token looks like

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
    principal: str = ""  # user/NAME or role/NAME; empty: the account itself
    issuer: str = ""  # of temporary keys: the key that asked for it
    expires: float | None = None  # None: a permanent key
    token_digest: str = ""
    session: str = ""  # the name that the issuer gave to the time in which it is used
    policy: str = ""  # a document that narrows what a temporary key may do

    @property
    def who(self) -> str:
        """user/NAME, role/NAME/SESSION; empty: the account itself."""
        return "/".join(filter(None, (self.principal, self.session)))

    @property
    def temporary(self) -> bool:
        return self.expires is not None

    def has_token(self, token: str) -> bool:
        """Compared in constant time."""
        return self.temporary and hmac.compare_digest(_digest(token), self.token_digest)


@dataclass(frozen=True, slots=True)
class Session:
    """A temporary key, and its token, which is not kept."""

    key: AccessKey
    token: str = field(repr=False)


_ALL = sa.select(*(access_keys.c[field.name] for field in fields(AccessKey)))
_ONE = _ALL.where(access_keys.c.id == sa.bindparam("key_id"))


class AccessKeys:
    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def create(self, account: str, principal: str = "") -> AccessKey:
        """NotFoundError when the account has no such user."""
        return self.add(account, *generate(), principal)

    def add(self, account: str, key_id: str, secret: str, principal: str = "") -> AccessKey:
        """Keep a key that `generate` made."""
        key = AccessKey(key_id, account, secret, KeyStatus.ACTIVE, self._database.now(), principal)
        self._insert(key)
        return key

    def create_session(
        self,
        account: str,
        principal: str,
        seconds: float,
        *,
        name: str = "",
        policy: str = "",
        issuer: str = "",
    ) -> Session:
        """A temporary key; NotFoundError when the account has no such user or role."""
        now = self._database.now()
        token = f"CAIS{_random(92)}"
        key = AccessKey(
            id=f"{TEMPORARY}{_random(25)}",
            account=account,
            secret=_random(44),
            status=KeyStatus.ACTIVE,
            created=now,
            principal=principal,
            issuer=issuer,
            expires=now + seconds,
            token_digest=_digest(token),
            session=name,
            policy=policy,
        )
        self._insert(key)
        return Session(key, token)

    def get(self, key_id: str) -> AccessKey | None:
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"key_id": key_id}).first()
        return None if row is None else self._record(row)

    def all(self, account: str | None = None) -> tuple[AccessKey, ...]:
        query = _ALL.order_by(access_keys.c.created, access_keys.c.id)
        if account is not None:
            query = query.where(access_keys.c.account == account)
        with self._database.read() as connection:
            return tuple(map(self._record, connection.execute(query)))

    def set_status(self, key_id: str, status: KeyStatus) -> None:
        """A disabled key takes the temporary ones with it that it asked for; they do not come back."""
        with self._database.write() as connection:
            update = access_keys.update().where(access_keys.c.id == key_id).values(status=status)
            if not connection.execute(update).rowcount:
                raise _unknown(key_id)
            if status is KeyStatus.INACTIVE:
                connection.execute(sa.delete(access_keys).where(access_keys.c.issuer == key_id))

    def delete(self, key_id: str) -> None:
        with self._database.write() as connection:
            if not connection.execute(sa.delete(access_keys).where(access_keys.c.id == key_id)).rowcount:
                raise _unknown(key_id)
            connection.execute(sa.delete(access_keys).where(access_keys.c.issuer == key_id))

    def reseal(self) -> int:
        """Seal all secrets by the newest key; how many there are."""
        return reseal(self._database, self._box, access_keys)

    def _insert(self, key: AccessKey) -> None:
        with self._database.write() as connection:
            if key.principal:
                principals.read(connection, key.account, key.principal)
            if key.temporary:
                old = access_keys.c.expires < self._database.now() - KEPT_EXPIRED
                connection.execute(sa.delete(access_keys).where(old))
            row = {**_columns(key), "secret": self._box.seal(key.secret, key.id)}
            connection.execute(access_keys.insert().values(**row))

    def _record(self, row: Any) -> AccessKey:
        """By the columns' places, as in `serverrow.record`."""
        key_id, account, sealed, status, *others = row
        return AccessKey(key_id, account, self._box.open(sealed, key_id), KeyStatus(status), *others)


def generate() -> tuple[str, str]:
    """Id and secret of a key that nobody has yet."""
    return f"LTAI{_random(20)}", _random(30)


def _columns(key: AccessKey) -> Mapping[str, Any]:
    return {name: getattr(key, name) for name in AccessKey.__slots__}


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _unknown(key_id: str) -> NotFoundError:
    return NotFoundError(f"there is no access key {key_id}", "list them with: rehost key list")
