"""Webhooks of accounts: where outside systems hear of events. What is sent to them is in `deliveries`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from rehost.core.errors import InvalidValueError, NotFoundError, WebhookQuotaError
from rehost.core.ids import Kind
from rehost.core.webhook import SECRET_BYTES, TEST, check_pattern, new_secret
from rehost.store.database import Database, new_id
from rehost.store.events import note
from rehost.store.paging import Listing, Page, Pages
from rehost.store.resealing import reseal
from rehost.store.schema import events, webhooks
from rehost.store.secretbox import SecretBox

QUOTA = 20  # webhooks that an account can have
LONGEST_URL = 2048  # characters

_table = webhooks.c


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    account: str
    url: str
    patterns: tuple[str, ...]  # none: all events
    secret: str = field(repr=False)  # kept out of logs and tracebacks
    enabled: bool
    reason: str  # why it is not, or what failed last
    created: float
    cursor: int
    attempts: int  # in vain since the last delivery
    due: float


class Webhooks:
    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def create(
        self, account: str, url: str, patterns: Sequence[str], actor: str, quota: int = QUOTA
    ) -> Webhook:
        """It is told of what happens from now on.

        InvalidValueError for an URL or a pattern that cannot be used, WebhookQuotaError.
        """
        check_url(url)
        hook = new_id(Kind.WEBHOOK)
        with self._database.write() as connection:
            mine = sa.select(sa.func.count()).select_from(webhooks).where(_table.account == account)
            if connection.execute(mine).scalar_one() >= quota:
                raise WebhookQuotaError(f"the account has {quota} webhooks", "remove some that are not used")
            row = {
                "id": hook, "account": account, "url": url,
                "events": tuple(map(check_pattern, patterns)),
                "secret": self._box.seal(new_secret(os.urandom(SECRET_BYTES)), hook),
                "enabled": True, "reason": "", "created": self._database.now(), "cursor": 0,
                "attempts": 0, "failing_since": 0.0, "due": 0.0, "claimed": 0.0,
            }  # fmt: skip
            connection.execute(webhooks.insert().values(**row))
            note(connection, self._database.now(), hook, actor, "CREATE", url)
            newest = sa.select(sa.func.max(events.c.id)).scalar_subquery()
            connection.execute(webhooks.update().where(_table.id == hook).values(cursor=newest))
        return self.get(account, hook)

    def get(self, account: str, hook: str) -> Webhook:
        """NotFoundError when the account has none of this id."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(webhooks).where(*_one(account, hook))).first()
        if row is None:
            raise _unknown(hook)
        return record(row, self._box)

    def find(self, account: str, page: Page) -> Listing[Webhook]:
        """Newest first."""
        query = sa.select(webhooks).where(_table.account == account)
        query = query.order_by(_table.created.desc(), _table.id.desc())
        with self._database.read() as connection:
            return Pages(query).fetch(connection, page, lambda row: record(row, self._box))

    def enable(self, account: str, hook: str, enabled: bool, actor: str) -> None:
        """What happened while it was disabled is told when it is enabled. NotFoundError."""
        fresh: dict[str, Any] = {"attempts": 0, "failing_since": 0.0, "due": 0.0} if enabled else {}
        change = webhooks.update().where(*_one(account, hook))
        with self._database.write() as connection:
            if not connection.execute(change.values(enabled=enabled, reason="", **fresh)).rowcount:
                raise _unknown(hook)
            note(connection, self._database.now(), hook, actor, "ENABLE" if enabled else "DISABLE")

    def test(self, account: str, hook: str, actor: str) -> None:
        """An event for this hook alone, which goes the way of all others. NotFoundError."""
        with self._database.write() as connection:
            if connection.execute(sa.select(_table.id).where(*_one(account, hook))).first() is None:
                raise _unknown(hook)
            note(connection, self._database.now(), hook, actor, TEST)

    def delete(self, account: str, hook: str, actor: str) -> None:
        """With what is known of its deliveries; what it was not told of yet it never is. NotFoundError."""
        with self._database.write() as connection:
            if not connection.execute(sa.delete(webhooks).where(*_one(account, hook))).rowcount:
                raise _unknown(hook)
            note(connection, self._database.now(), hook, actor, "DELETE")

    def reseal(self) -> int:
        """Seal all secrets by the newest key; how many there are."""
        return reseal(self._database, self._box, webhooks)


def check_url(url: str) -> str:
    """The URL; InvalidValueError for one that nothing can be sent to."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidValueError(
            f"{url[:80]!a} is not an URL that a webhook can have",
            f"write https://HOST[:PORT]/PATH, in ASCII and at most {LONGEST_URL} characters",
        )
    if "@" in parts.netloc:
        raise InvalidValueError(
            "the URL of a webhook has a user or password in it",
            "leave it out: URLs are shown in listings, and each message is signed",
        )
    return url


def record(row: Any, box: SecretBox) -> Webhook:
    return Webhook(
        id=row.id,
        account=row.account,
        url=row.url,
        patterns=row.events,
        secret=box.open(row.secret, row.id),
        enabled=row.enabled,
        reason=row.reason,
        created=row.created,
        cursor=row.cursor,
        attempts=row.attempts,
        due=row.due,
    )


def _one(account: str, hook: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _table.id == hook, _table.account == account


def _unknown(hook: str) -> NotFoundError:
    return NotFoundError(f"there is no webhook {hook}", "list them with: rehost webhook list")
