"""Users and roles of accounts: whom policies are attached to. The account itself is none of them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rehost.core.errors import InvalidValueError, NotFoundError
from rehost.store.database import Database
from rehost.store.names import check_name
from rehost.store.schema import access_keys, attachments, principals


class PrincipalKind(StrEnum):
    USER = "user"  # has access keys
    ROLE = "role"  # is assumed, for a time


@dataclass(frozen=True, slots=True)
class Principal:
    account: str
    name: str  # as it ends an ARN: user/alice
    created: float

    @property
    def kind(self) -> PrincipalKind:
        return PrincipalKind(self.name.partition("/")[0])


class Principals:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, account: str, kind: PrincipalKind, name: str) -> Principal:
        """InvalidValueError when the name is taken or has another form."""
        check_name(name, f"a {kind}")
        principal = Principal(account, full_name(kind, name), self._database.now())
        values = {"account": account, "name": principal.name, "created": principal.created}
        try:
            with self._database.write() as connection:
                connection.execute(principals.insert().values(**values))
        except IntegrityError:
            raise InvalidValueError(f"there is a {kind} {name} already", "choose another name") from None
        return principal

    def get(self, account: str, kind: PrincipalKind, name: str) -> Principal:
        """NotFoundError when the account has none."""
        with self._database.read() as connection:
            return read(connection, account, full_name(kind, name))

    def all(self, account: str, kind: PrincipalKind) -> tuple[Principal, ...]:
        query = sa.select(principals).where(
            principals.c.account == account, principals.c.name.startswith(f"{kind}/", autoescape=True)
        )
        with self._database.read() as connection:
            return tuple(map(_record, connection.execute(query.order_by(principals.c.name))))

    def delete(self, account: str, kind: PrincipalKind, name: str) -> None:
        """With its keys; none of them is good any more when this returns."""
        full = full_name(kind, name)
        with self._database.write() as connection:
            read(connection, account, full)
            mine = sa.select(access_keys.c.id).where(
                access_keys.c.account == account, access_keys.c.principal == full
            )
            connection.execute(sa.delete(access_keys).where(access_keys.c.issuer.in_(mine.scalar_subquery())))
            for table, column in (
                (access_keys, access_keys.c.principal),
                (attachments, attachments.c.principal),
                (principals, principals.c.name),
            ):
                connection.execute(sa.delete(table).where(table.c.account == account, column == full))


def full_name(kind: PrincipalKind, name: str) -> str:
    return f"{kind}/{name}"


def read(connection: sa.Connection, account: str, full: str) -> Principal:
    """In the caller's transaction; NotFoundError when there is none."""
    query = sa.select(principals).where(principals.c.account == account, principals.c.name == full)
    row = connection.execute(query).first()
    if row is None:
        kind, _, name = full.partition("/")
        raise NotFoundError(f"there is no {kind} {name}", f"list them with: rehost {kind} list")
    return _record(row)


def _record(row: Any) -> Principal:
    return Principal(row.account, row.name, row.created)
