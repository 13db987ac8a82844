"""Accounts: each has resources, users and policies of its own, and sees no others'."""

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rehost.core.errors import IdentityError, InvalidValueError, NotFoundError
from rehost.store.database import Database
from rehost.store.names import check_name
from rehost.store.schema import (
    access_keys,
    accounts,
    activation_codes,
    attachments,
    images,
    jobs,
    policies,
    principals,
    source_servers,
    webhooks,
)

ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    created: float


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> Account:
        """InvalidValueError when the name is taken or has another form."""
        digits = secrets.randbelow(9 * 10 ** (ID_DIGITS - 1)) + 10 ** (ID_DIGITS - 1)
        account = Account(str(digits), check_name(name, "an account"), self._database.now())
        try:
            with self._database.write() as connection:
                connection.execute(
                    accounts.insert().values(id=account.id, name=name, created=account.created)
                )
        except IntegrityError:
            raise InvalidValueError(f"there is an account {name} already", "choose another name") from None
        return account

    def ensure(self, account_id: str) -> None:
        """There is an account of this id; a new one is named like it."""
        with self._database.write() as connection:
            if connection.execute(sa.select(accounts).where(accounts.c.id == account_id)).first() is None:
                values = {"id": account_id, "name": account_id, "created": self._database.now()}
                connection.execute(accounts.insert().values(**values))

    def find(self, text: str) -> Account:
        """By id or name; NotFoundError."""
        query = sa.select(accounts).where(sa.or_(accounts.c.id == text, accounts.c.name == text))
        with self._database.read() as connection:
            row = connection.execute(query.order_by(accounts.c.id != text)).first()
        if row is None:
            raise NotFoundError(f"there is no account {text}", "list them with: rehost account list")
        return _record(row)

    def all(self) -> tuple[Account, ...]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.created, accounts.c.id))
            return tuple(map(_record, rows))

    def delete(self, account_id: str) -> None:
        """With its users, policies, keys, codes and webhooks.

        IdentityError while it has servers, jobs or images.
        """
        with self._database.write() as connection:
            for table, what in ((source_servers, "source servers"), (jobs, "jobs"), (images, "images")):
                query = sa.select(sa.func.count()).select_from(table).where(table.c.account == account_id)
                if count := connection.execute(query).scalar_one():
                    raise IdentityError(f"the account {account_id} has {count} {what}", "delete them first")
            for table in (access_keys, activation_codes, attachments, policies, principals, webhooks):
                connection.execute(sa.delete(table).where(table.c.account == account_id))
            connection.execute(sa.delete(accounts).where(accounts.c.id == account_id))


def _record(row: Any) -> Account:
    return Account(row.id, row.name, row.created)
