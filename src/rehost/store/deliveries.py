"""What webhooks are still to be told, and what came of telling them.

A hook's cursor is the event that it was told of last. It moves when the receiver has said that it has the
message, so a kill between the two repeats the message, and nothing is left out. That needs ids of events to
ascend in the order of their commits: writers take turns (docs/decisions/0019).
"""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from rehost.core import delivery
from rehost.core.delivery import Answer, Failing
from rehost.core.webhook import Message, Notice, message, wanted
from rehost.store.database import Database
from rehost.store.events import note
from rehost.store.paging import Listing, Page, Pages
from rehost.store.schema import deliveries, events, webhooks
from rehost.store.secretbox import SecretBox
from rehost.store.webhooks import Webhook, record

ACTOR = "rehost"
CLAIM = 15.0  # seconds that a process has a hook for one attempt, which takes 10 at most
KEPT = 100  # attempts of each hook that are known
_LOOK = 200  # events that are looked at in one query

_hook = webhooks.c


@dataclass(frozen=True, slots=True)
class Pending:
    """The next message of a hook."""

    hook: Webhook
    notice: Notice
    message: Message


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt."""

    message: str  # its id
    type: str
    subject: str
    at: float
    attempt: int  # from 1
    status: int | None  # of HTTP; None: there was no answer
    error: str  # empty: it was delivered
    seconds: float


class Deliveries:
    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def due(self) -> tuple[str, ...]:
        """The hooks that have events before them and that nobody is at, the longest due first."""
        now = self._database.now()
        more = sa.exists().where(events.c.account == _hook.account, events.c.id > _hook.cursor)
        query = sa.select(_hook.id).where(_hook.enabled, _hook.due <= now, _hook.claimed <= now, more)
        with self._database.read() as connection:
            return tuple(connection.execute(query.order_by(_hook.due, _hook.id)).scalars())

    def next(self, hook_id: str) -> Pending | None:
        """A hook's next message; what it does not want is passed over. None: there is none for now."""
        while True:
            with self._database.read() as connection:
                row = connection.execute(
                    sa.select(webhooks).where(_hook.id == hook_id, _hook.enabled)
                ).first()
                if row is None:
                    return None
                hook = record(row, self._box)
                seen, notice = _look(connection, hook)
            if seen > hook.cursor:
                self._pass(hook, seen)
            if notice is not None:
                return Pending(replace(hook, cursor=seen), notice, message(hook.id, notice))
            if seen == hook.cursor:
                return None

    def claim(self, pending: Pending) -> float | None:
        """Take a hook for one attempt, so that no other process sends at the same time; until when it is
        held, which `record` asks for. None: another one has it, or it is not due."""
        now = self._database.now()
        free = webhooks.update().where(
            *_unmoved(pending.hook), _hook.enabled, _hook.claimed <= now, _hook.due <= now
        )
        with self._database.write() as connection:
            return now + CLAIM if connection.execute(free.values(claimed=now + CLAIM)).rowcount else None

    def record(self, pending: Pending, claim: float, answer: Answer, chance: float) -> bool:
        """What came of an attempt; whether the hook can be told of the next event now.

        A hook that failed for too long is disabled. Nothing happens when the claim is not held any more.
        """
        with self._database.write() as connection:
            held = sa.select(webhooks).where(_hook.id == pending.hook.id, _hook.claimed == claim)
            row = connection.execute(held).first()
            if row is None:
                return False
            now = self._database.now()
            _keep(connection, now, pending, row.attempts + 1, answer)
            if answer.delivered:
                changes = {"cursor": pending.notice.id, **_fresh()}
            else:
                changes = _failed(connection, now, row, answer, chance)
            connection.execute(webhooks.update().where(_hook.id == row.id).values(claimed=0.0, **changes))
            return answer.delivered

    def of(self, hook_id: str, page: Page) -> Listing[Delivery]:
        """The last attempts, newest first."""
        query = sa.select(deliveries).where(deliveries.c.webhook == hook_id)
        with self._database.read() as connection:
            return Pages(query.order_by(deliveries.c.id.desc())).fetch(connection, page, _record)

    def _pass(self, hook: Webhook, seen: int) -> None:
        with self._database.write() as connection:
            connection.execute(webhooks.update().where(*_unmoved(hook)).values(cursor=seen))


def _unmoved(hook: Webhook) -> tuple[sa.ColumnElement[bool], ...]:
    return _hook.id == hook.id, _hook.cursor == hook.cursor


def _look(connection: sa.Connection, hook: Webhook) -> tuple[int, Notice | None]:
    """The first wanted event after the cursor, and the last unwanted one before it."""
    seen = hook.cursor
    query = sa.select(events).where(events.c.account == hook.account, events.c.id > seen)
    for row in connection.execute(query.order_by(events.c.id).limit(_LOOK)).all():
        notice = _notice(row)
        if wanted(hook.id, hook.patterns, notice):
            return seen, _with_before(connection, notice)
        seen = notice.id
    return seen, None


def _notice(row: Any) -> Notice:
    return Notice(
        row.id,
        row.at,
        row.subject,
        row.account,
        row.name,
        row.run,
        row.actor,
        row.what,
        row.state,
        row.detail,
    )


def _with_before(connection: sa.Connection, notice: Notice) -> Notice:
    earlier = sa.select(events.c.state, events.c.at).where(
        events.c.subject == notice.subject, events.c.id < notice.id, events.c.state != ""
    )
    row = connection.execute(earlier.order_by(events.c.id.desc()).limit(1)).first()
    if row is None:
        return notice
    return replace(notice, before=row.state, before_seconds=max(0.0, notice.at - row.at))


def _keep(connection: sa.Connection, now: float, pending: Pending, attempt: int, answer: Answer) -> None:
    hook, told = pending.hook.id, pending.message
    row = {"webhook": hook, "message": told.id, "type": told.type, "subject": pending.notice.subject}
    result = {"status": answer.status, "error": answer.error, "seconds": answer.seconds}
    connection.execute(deliveries.insert().values(**row, at=now, attempt=attempt, **result))
    mine = sa.select(deliveries.c.id).where(deliveries.c.webhook == hook).order_by(deliveries.c.id.desc())
    oldest = mine.limit(1).offset(KEPT).scalar_subquery()
    connection.execute(sa.delete(deliveries).where(deliveries.c.webhook == hook, deliveries.c.id <= oldest))


def _fresh() -> dict[str, Any]:
    return {"attempts": 0, "failing_since": 0.0, "due": 0.0, "reason": ""}


def _failed(connection: sa.Connection, now: float, row: Any, answer: Answer, chance: float) -> dict[str, Any]:
    failing = delivery.failed(Failing(row.attempts, row.failing_since), now)
    changes: dict[str, Any] = {"attempts": failing.attempts, "failing_since": failing.since}
    if reason := delivery.given_up(failing, answer, now):
        note(connection, now, row.id, ACTOR, "DISABLE", reason)
        return {**changes, "enabled": False, "reason": reason}
    return {**changes, "due": now + delivery.wait(failing.attempts, chance), "reason": answer.error}


def _record(row: Any) -> Delivery:
    return Delivery(
        row.message, row.type, row.subject, row.at, row.attempt, row.status, row.error, row.seconds
    )
