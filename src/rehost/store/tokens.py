"""ClientTokens: a request that comes again with its token is answered with what the first one made."""

from dataclasses import dataclass

import sqlalchemy as sa

from rehost.core.errors import IdempotencyError
from rehost.store.database import Database
from rehost.store.schema import client_tokens

KEPT = 90 * 86400.0  # seconds that a token is known, the longest time that a job is valid by

_table = client_tokens.c


@dataclass(frozen=True, slots=True)
class Token:
    """What a client says once for each thing that it wants made."""

    action: str
    text: str
    digest: str  # over all parameters of the request


class ClientTokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    def made(self, account: str, token: Token | None) -> str:
        """The id of what an earlier request made; empty: it is the first one.

        IdempotencyError when that one had other parameters.
        """
        if token is None:
            return ""
        with self._database.read() as connection:
            return made(connection, account, token)


def made(connection: sa.Connection, account: str, token: Token | None) -> str:
    """The same inside the caller's transaction."""
    if token is None:
        return ""
    row = connection.execute(sa.select(client_tokens).where(*_key(account, token))).first()
    if row is None:
        return ""
    if row.digest != token.digest:
        raise IdempotencyError(
            f"the ClientToken was used for {row.resource} with other parameters",
            "repeat the same request, or use a new token",
        )
    return str(row.resource)


def keep(connection: sa.Connection, now: float, account: str, token: Token | None, resource: str) -> None:
    """Remember what a request has made, in the transaction that makes it; old tokens go on the way."""
    if token is None:
        return
    connection.execute(sa.delete(client_tokens).where(_table.created < now - KEPT))
    row = {"account": account, "action": token.action, "token": token.text, "digest": token.digest}
    connection.execute(client_tokens.insert().values(**row, resource=resource, created=now))


def _key(account: str, token: Token) -> tuple[sa.ColumnElement[bool], ...]:
    return _table.account == account, _table.action == token.action, _table.token == token.text
