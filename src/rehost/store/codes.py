"""Activation codes: leave for a number of agents to register, for a time."""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import ActivationCodeError, NotFoundError
from rehost.core.ids import ALPHABET, Kind
from rehost.store.database import Database, new_id
from rehost.store.schema import activation_codes

CODE_LENGTH = 32  # of 36 letters: 165 bits
DAY = 86400


class CodeStatus(StrEnum):
    ACTIVE = "activated"
    DISABLED = "unactivated"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ActivationCode:
    """What is kept of a code; the code itself is shown once and not kept."""

    id: str
    account: str
    name: str
    description: str
    count: int
    used: int
    expires: float
    created: float
    status: CodeStatus


class ActivationCodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, account: str, name: str, count: int = 1, days: float = 30, description: str = ""
    ) -> tuple[ActivationCode, str]:
        """A new code's record, and the code itself."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        now = self._database.now()
        record = ActivationCode(
            id=new_id(Kind.ACTIVATION_CODE),
            account=account,
            name=name,
            description=description,
            count=count,
            used=0,
            expires=now + days * DAY,
            created=now,
            status=CodeStatus.ACTIVE,
        )
        with self._database.write() as connection:
            connection.execute(activation_codes.insert().values(**asdict(record), digest=_digest(code)))
        return record, code

    def all(self, account: str | None = None) -> tuple[ActivationCode, ...]:
        query = sa.select(activation_codes).order_by(activation_codes.c.created, activation_codes.c.id)
        if account is not None:
            query = query.where(activation_codes.c.account == account)
        with self._database.read() as connection:
            return tuple(self._record(row) for row in connection.execute(query))

    def disable(self, code_id: str) -> None:
        update = activation_codes.update().where(activation_codes.c.id == code_id)
        with self._database.write() as connection:
            if not connection.execute(update.values(status=CodeStatus.DISABLED)).rowcount:
                raise NotFoundError(f"there is no activation code {code_id}", "rehost code list shows all")

    def _record(self, row: Any) -> ActivationCode:
        expired = row.status == CodeStatus.ACTIVE and row.expires <= self._database.now()
        status = CodeStatus.EXPIRED if expired else CodeStatus(row.status)
        return ActivationCode(
            row.id,
            row.account,
            row.name,
            row.description,
            row.count,
            row.used,
            row.expires,
            row.created,
            status,
        )


def redeem(connection: sa.Connection, code: str, now: float) -> str:
    """Use one registration of a code in the caller's transaction; the account that it is of."""
    query = sa.select(activation_codes).where(activation_codes.c.digest == _digest(code))
    row = connection.execute(query).first()
    if row is None:
        raise _refused("is not known here")
    if row.status != CodeStatus.ACTIVE:
        raise _refused("is disabled")
    if row.expires <= now:
        raise _refused("has expired")
    if row.used >= row.count:
        raise _refused(f"is used up: it was good for {row.count} registration(s)")
    connection.execute(
        activation_codes.update().where(activation_codes.c.id == row.id).values(used=row.used + 1)
    )
    return str(row.account)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _refused(why: str) -> ActivationCodeError:
    return ActivationCodeError(
        f"the activation code {why}", "make another one on the control plane: rehost code create"
    )
