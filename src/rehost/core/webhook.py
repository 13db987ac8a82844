"""Webhooks: which events they tell of, and what they say of them. Pure."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rehost.core.errors import InvalidValueError
from rehost.core.ids import Kind
from rehost.core.job import JobState
from rehost.core.ram.pattern import matches

TEST = "TEST"  # the event that its hook alone is told of, whatever it wants
SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32

_KINDS: dict[str, str] = {
    Kind.JOB: "job",
    Kind.SOURCE: "source",
    Kind.WORKGROUP: "workgroup",
    Kind.WEBHOOK: "webhook",
}
_IDS = {"job": "JobId", "source": "SourceId", "workgroup": "WorkgroupId", "webhook": "WebhookId"}
_STATES = frozenset(word.lower() for state in JobState for word in (state.text, state.status.value))


@dataclass(frozen=True, slots=True)
class Notice:
    """An event with all that its hooks are told; it stays what it is, however often it is sent."""

    id: int  # ascending
    at: float  # Unix seconds
    subject: str  # the resource's id
    account: str
    name: str  # of the resource, then
    run: str  # of a job, then
    actor: str
    what: str  # START
    state: str  # of a job from then on: Running/Syncing; empty: it stayed as it was
    detail: str
    before: str = ""  # the state until then
    before_seconds: float = 0.0  # for how long

    @property
    def kind(self) -> str:
        return _KINDS.get(self.subject.partition("-")[0], "other")

    @property
    def type(self) -> str:
        """job.start, source.register."""
        return f"{self.kind}.{self.what.lower().replace(' ', '_')}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent for one event, without its signature: that has the time of each attempt."""

    id: str  # the same one in each attempt, and in no other message
    type: str
    body: bytes = field(repr=False)


def check_pattern(pattern: str) -> str:
    """The pattern; InvalidValueError for one that can never match."""
    kind, dot, _ = pattern.lower().partition(".")
    if pattern.lower() in _STATES or "*" in kind or (dot and kind in _KINDS.values()):
        return pattern
    raise InvalidValueError(
        f"{pattern[:80]!a} is neither a kind of event nor a job's state",
        "write for example job.*, job.fail, source.register, InError, Running/Syncing or *",
    )


def wanted(hook: str, patterns: Sequence[str], notice: Notice) -> bool:
    """Whether a hook is told of an event: a pattern is its type, or the state that it leads to, or the
    status of that; without case. Without any pattern it is told of all."""
    if notice.what == TEST or notice.subject == hook:
        return notice.what == TEST and notice.subject == hook
    status = notice.state.partition("/")[0]
    texts = [text.lower() for text in (notice.type, notice.state, status) if text]
    return not patterns or any(matches(pattern.lower(), text) for pattern in patterns for text in texts)


def message(hook: str, notice: Notice) -> Message:
    """Its id is made of the hook and of what the event is: a database that is restored from a backup counts
    its events anew, and a receiver that drops what it has seen must not drop those."""
    body = json.dumps(_content(notice), ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"\0".join((hook.encode(), str(notice.id).encode(), body))).hexdigest()
    return Message(f"msg_{digest[:32]}", notice.type, body)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of Standard Webhooks 1.0.0."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


def new_secret(random: bytes) -> str:
    """From 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(random).decode()


def _content(notice: Notice) -> dict[str, object]:
    status, _, business = notice.state.partition("/")
    data: dict[str, object] = {
        _IDS.get(notice.kind, "Id"): notice.subject,
        "Name": notice.name,
        "Account": notice.account,
        "Event": notice.what,
        "State": notice.state,
        "Status": status,
        "BusinessStatus": business,
        "PreviousState": notice.before,
        "PreviousStateSeconds": round(notice.before_seconds, 3) if notice.before else None,
        "RunId": notice.run,
        "Actor": notice.actor,
        "Detail": notice.detail,
    }
    given = {name: value for name, value in data.items() if value not in ("", None)}
    return {"type": notice.type, "timestamp": _time(notice.at), "data": given}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
