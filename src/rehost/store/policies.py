"""Policies of accounts, and to whom they are attached."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rehost.core.errors import IdentityError, InvalidValueError, NotFoundError
from rehost.core.ram.document import parse
from rehost.core.ram.policy import Policy
from rehost.core.ram.system import SYSTEM_POLICIES
from rehost.store import principals
from rehost.store.database import Database
from rehost.store.names import check_name
from rehost.store.schema import attachments, policies


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    name: str
    document: str
    system: bool
    created: float | None


class Policies:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, account: str, name: str, document: str) -> None:
        """A new policy, or a new document of one; PolicyError says what is wrong with it."""
        if check_name(name, "a policy") in SYSTEM_POLICIES:
            raise InvalidValueError(f"{name} is a policy of the system", "choose another name")
        parse(name, document)
        mine = _named(account, name)
        with self._database.write() as connection:
            update = policies.update().where(mine).values(document=document)
            if not connection.execute(update).rowcount:
                values = {"account": account, "name": name, "document": document}
                connection.execute(policies.insert().values(**values, created=self._database.now()))

    def get(self, account: str, name: str) -> PolicyRecord:
        """NotFoundError when neither the account nor the system has it."""
        if name in SYSTEM_POLICIES:
            return _of_system(name)
        with self._database.read() as connection:
            row = connection.execute(sa.select(policies).where(_named(account, name))).first()
        if row is None:
            raise NotFoundError(f"there is no policy {name}", "list them with: rehost policy list")
        return _record(row)

    def all(self, account: str) -> tuple[PolicyRecord, ...]:
        query = sa.select(policies).where(policies.c.account == account).order_by(policies.c.name)
        with self._database.read() as connection:
            own = tuple(map(_record, connection.execute(query)))
        return own + tuple(map(_of_system, SYSTEM_POLICIES))

    def delete(self, account: str, name: str) -> None:
        """IdentityError while it is attached: leave would vanish, or a denial, unseen."""
        self.get(account, name)
        if name in SYSTEM_POLICIES:
            raise IdentityError(f"{name} is a policy of the system", "detach it instead")
        with self._database.write() as connection:
            holders = _holders(connection, account, name)
            if holders:
                raise IdentityError(
                    f"the policy {name} is attached to {', '.join(holders)}", "detach it first"
                )
            connection.execute(sa.delete(policies).where(_named(account, name)))

    def attach(self, account: str, principal: str, name: str) -> None:
        """`principal`: user/NAME or role/NAME. NotFoundError; nothing happens if it is attached."""
        self.get(account, name)
        try:
            with self._database.write() as connection:
                principals.read(connection, account, principal)
                values = {"account": account, "principal": principal, "policy": name}
                connection.execute(attachments.insert().values(**values))
        except IntegrityError:
            return

    def detach(self, account: str, principal: str, name: str) -> None:
        """NotFoundError when it is not attached."""
        gone = sa.delete(attachments).where(
            attachments.c.account == account,
            attachments.c.principal == principal,
            attachments.c.policy == name,
        )
        with self._database.write() as connection:
            if not connection.execute(gone).rowcount:
                raise NotFoundError(
                    f"the policy {name} is not attached to {principal}", "rehost policy list shows who has it"
                )

    def holders(self, account: str, name: str) -> tuple[str, ...]:
        with self._database.read() as connection:
            return _holders(connection, account, name)

    def of(self, account: str, principal: str) -> tuple[Policy, ...]:
        """What is attached to a user or a role."""
        joined = attachments.outerjoin(
            policies,
            sa.and_(attachments.c.account == policies.c.account, attachments.c.policy == policies.c.name),
        )
        query = sa.select(attachments.c.policy, policies.c.document).select_from(joined)
        mine = query.where(attachments.c.account == account, attachments.c.principal == principal)
        with self._database.read() as connection:
            rows = connection.execute(mine.order_by(attachments.c.policy)).all()
        return tuple(parse(row.policy, SYSTEM_POLICIES.get(row.policy, row.document)) for row in rows)


def _named(account: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(policies.c.account == account, policies.c.name == name)


def _holders(connection: sa.Connection, account: str, name: str) -> tuple[str, ...]:
    query = sa.select(attachments.c.principal).where(
        attachments.c.account == account, attachments.c.policy == name
    )
    return tuple(connection.execute(query.order_by(attachments.c.principal)).scalars())


def _of_system(name: str) -> PolicyRecord:
    return PolicyRecord(name, SYSTEM_POLICIES[name], True, None)


def _record(row: Any) -> PolicyRecord:
    return PolicyRecord(row.name, row.document, False, row.created)
