"""The actions on webhooks, by which outside systems hear of events: rehost's own addition to the API."""

from collections.abc import Iterator
from contextlib import contextmanager

from rehost.api import errors, times
from rehost.api.actions import paging
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Fields, Kind, Resource, Text, Texts, Truth, Wrapped
from rehost.api.values import Values
from rehost.core.errors import InvalidValueError, NotFoundError
from rehost.core.webhook import check_pattern
from rehost.store.deliveries import Delivery
from rehost.store.webhooks import LONGEST_URL, Webhook, check_url

MOST_PATTERNS = 20


def create(call: Call, values: Values) -> dict[str, object]:
    hook = call.store.webhooks.create(
        call.account, values.text("Url"), values.texts("Event"), call.actor, call.services.webhook_quota
    )
    return {"Secret": hook.secret, "WebhookId": hook.id}


def describe(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    found = call.store.webhooks.find(call.account, page)
    hooks = [_reply(hook) for hook in found.items]
    return {"Webhooks": {"Webhook": hooks}, **paging.reply(page, found.total)}


def modify(call: Call, values: Values) -> dict[str, object]:
    hook, enabled = values.text("WebhookId"), bool(values.truth("Enabled"))
    with _known(hook):
        call.store.webhooks.enable(call.account, hook, enabled, call.actor)
    return {}


def delete(call: Call, values: Values) -> dict[str, object]:
    hook = values.text("WebhookId")
    with _known(hook):
        call.store.webhooks.delete(call.account, hook, call.actor)
    return {}


def test(call: Call, values: Values) -> dict[str, object]:
    hook = values.text("WebhookId")
    with _known(hook):
        call.store.webhooks.test(call.account, hook, call.actor)
    return {}


def deliveries(call: Call, values: Values) -> dict[str, object]:
    hook, page = values.text("WebhookId"), paging.page(values)
    with _known(hook):
        call.store.webhooks.get(call.account, hook)
    found = call.store.deliveries.of(hook, page)
    attempts = [_attempt(one) for one in found.items]
    return {"Attempts": {"Attempt": attempts}, **paging.reply(page, found.total)}


def usable_url(values: Values) -> None:
    """Url is http:// or https:// with a host, in ASCII, without a user or password."""
    try:
        check_url(values.text("Url"))
    except InvalidValueError as error:
        raise errors.malformed("Url", values.text("Url"), error.advice) from None


def possible_events(values: Values) -> None:
    """Each Event.N can match: * and ? stand for any characters, for one; case does not count."""
    for pattern in values.texts("Event"):
        try:
            check_pattern(pattern)
        except InvalidValueError as error:
            raise errors.not_allowed("Event", pattern, error.advice) from None


@contextmanager
def _known(hook: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise errors.not_found("WebhookId", hook) from None


def _reply(hook: Webhook) -> dict[str, object]:
    return {
        "CreationTime": times.write(hook.created),
        "Enabled": hook.enabled,
        "Events": {"Event": hook.patterns},
        "FailedAttempts": hook.attempts,
        "NextAttemptTime": times.write_known(hook.due or None),
        "Reason": hook.reason,
        "Url": hook.url,
        "WebhookId": hook.id,
    }


def _attempt(one: Delivery) -> dict[str, object]:
    return {
        "Attempt": one.attempt,
        "Error": one.error,
        "HttpStatus": one.status,
        "MessageId": one.message,
        "Milliseconds": round(one.seconds * 1000),
        "ResourceId": one.subject,
        "Time": times.write(one.at),
        "Type": one.type,
    }


_HOOK = (Text("WebhookId", "The webhook.", required=True),)
_ONE = (Resource("webhook", "WebhookId"),)
_UNKNOWN = ("InvalidWebhookId.NotFound",)
_FIELDS: Fields = (
    Field("CreationTime", Kind.TIME, "When it was made."),
    Field("Enabled", Kind.BOOLEAN, "Whether it is told of events."),
    Wrapped("Events", "Event", ()),
    Field("FailedAttempts", Kind.INTEGER, "Attempts in vain since the last delivery."),
    Field("NextAttemptTime", Kind.TIME, "After a failed attempt, when the next one is made."),
    Field("Reason", Kind.STRING, "Why it is disabled, or what the last attempt failed with."),
    Field("Url", Kind.STRING, "Where messages go."),
    Field("WebhookId", Kind.STRING, "Its id."),
)
_ATTEMPT: Fields = (
    Field("Attempt", Kind.INTEGER, "Which attempt at this message, from 1."),
    Field("Error", Kind.STRING, "Why it does not count as delivered; empty: it does."),
    Field("HttpStatus", Kind.INTEGER, "The receiver's answer; absent: there was none."),
    Field("MessageId", Kind.STRING, "The header webhook-id."),
    Field("Milliseconds", Kind.INTEGER, "How long it took."),
    Field("ResourceId", Kind.STRING, "What the event was about."),
    Field("Time", Kind.TIME, "When it ended."),
    Field("Type", Kind.STRING, "job.start and the like."),
)

ACTIONS = (
    Action(
        "CreateWebhook",
        "Have an URL told of what happens from now on. The secret is told now and never again.",
        (
            Text("Url", "Where messages go.", longest=LONGEST_URL, required=True),
            Texts(
                "Event",
                "Which events: a type (job.fail, job.*), a job's status or state; without any: all.",
                most=MOST_PATTERNS,
                distinct=True,
            ),
        ),
        create,
        (
            Field("Secret", Kind.STRING, "What messages are signed with: whsec_…"),
            Field("WebhookId", Kind.STRING, "The new webhook."),
        ),
        (usable_url, possible_events),
        ("InvalidEvent.ValueNotSupported", "QuotaExceeded.Webhook"),
        addition=True,
        resources=(Resource("webhook"),),
    ),
    Action(
        "DescribeWebhooks",
        "List webhooks, newest first.",
        paging.PARAMETERS,
        describe,
        (Wrapped("Webhooks", "Webhook", _FIELDS), *paging.REPLY),
        addition=True,
        resources=(Resource("webhook"),),
    ),
    Action(
        "ModifyWebhookAttribute",
        "Disable a webhook, or enable it again: then it is told of all that happened meanwhile.",
        (*_HOOK, Truth("Enabled", "Whether it is told of events.", required=True)),
        modify,
        codes=_UNKNOWN,
        addition=True,
        resources=_ONE,
    ),
    Action(
        "TestWebhook",
        "Send a message of type webhook.test to a webhook, the way that all others go.",
        _HOOK,
        test,
        codes=_UNKNOWN,
        addition=True,
        resources=_ONE,
    ),
    Action(
        "DescribeWebhookDeliveries",
        "The last 100 attempts to tell a webhook, newest first.",
        (*_HOOK, *paging.PARAMETERS),
        deliveries,
        (Wrapped("Attempts", "Attempt", _ATTEMPT), *paging.REPLY),
        codes=_UNKNOWN,
        addition=True,
        resources=_ONE,
    ),
    Action(
        "DeleteWebhook",
        "Delete a webhook; what it was not told of yet it never is.",
        _HOOK,
        delete,
        codes=_UNKNOWN,
        addition=True,
        resources=_ONE,
    ),
)
