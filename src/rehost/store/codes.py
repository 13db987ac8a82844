"""Activation codes: leave for a number of agents to register, for a time."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from rehost.core.errors import AccessTokenQuotaError, ActivationCodeError, NotFoundError
from rehost.core.ids import ALPHABET, Kind
from rehost.store.database import Database, new_id
from rehost.store.paging import Listing, Page, Pages
from rehost.store.schema import activation_codes

CODE_LENGTH = 32  # of 36 letters: 165 bits
QUOTA = 1000  # codes that an account can have
DAY = 86400

_table = activation_codes.c


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


@dataclass(frozen=True, slots=True)
class CodeFilter:
    """All conditions hold together; an empty one does not count."""

    ids: Sequence[str] = ()
    name: str = ""
    status: str = ""


class ActivationCodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account: str,
        name: str,
        count: int = 1,
        days: float = 30,
        description: str = "",
        quota: int = QUOTA,
    ) -> tuple[ActivationCode, str]:
        """A new code's record, and the code itself. AccessTokenQuotaError when there are too many."""
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
            _check_quota(connection, account, quota)
            connection.execute(activation_codes.insert().values(**asdict(record), digest=_digest(code)))
        return record, code

    def find(self, account: str, want: CodeFilter, page: Page) -> Listing[ActivationCode]:
        """Newest first."""
        now = self._database.now()
        query = (
            sa.select(activation_codes, _status(now).label("state"))
            .where(_table.account == account, *_conditions(want, now))
            .order_by(_table.created.desc(), _table.id.desc())
        )
        with self._database.read() as connection:
            return Pages(query).fetch(connection, page, _record)

    def disable(self, account: str, code_id: str) -> None:
        """Nobody registers with it any more; who has registered stays. NotFoundError when there is none."""
        self._change(activation_codes.update().values(status=CodeStatus.DISABLED), account, code_id)

    def delete(self, account: str, code_id: str) -> None:
        """Nobody registers with it any more; who has registered stays. NotFoundError when there is none."""
        self._change(sa.delete(activation_codes), account, code_id)

    def _change(self, statement: sa.Update | sa.Delete, account: str, code_id: str) -> None:
        with self._database.write() as connection:
            mine = statement.where(_table.account == account, _table.id == code_id)
            if not connection.execute(mine).rowcount:
                raise NotFoundError(f"there is no activation code {code_id}", "rehost code list shows all")


def _check_quota(connection: sa.Connection, account: str, quota: int) -> None:
    count = sa.select(sa.func.count()).select_from(activation_codes).where(_table.account == account)
    if connection.execute(count).scalar_one() >= quota:
        raise AccessTokenQuotaError(
            f"the account has {quota} activation codes", "delete those that are not needed any more"
        )


def _status(now: float) -> sa.ColumnElement[str]:
    """In SQL so that listings can filter by it: an active code expires without anybody's doing."""
    expired = sa.and_(_table.status == CodeStatus.ACTIVE.value, _table.expires <= now)
    return sa.case((expired, CodeStatus.EXPIRED.value), else_=_table.status)


def _conditions(want: CodeFilter, now: float) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if want.ids:
        conditions.append(_table.id.in_(want.ids))
    if want.name:
        conditions.append(_table.name == want.name)
    if want.status:
        conditions.append(_status(now) == want.status)
    return conditions


def _record(row: Any) -> ActivationCode:
    return ActivationCode(
        row.id,
        row.account,
        row.name,
        row.description,
        row.count,
        row.used,
        row.expires,
        row.created,
        CodeStatus(row.state),
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
