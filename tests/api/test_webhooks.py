"""Webhooks by the API."""

from dataclasses import replace
from typing import Any

import pytest

from rehost.core.delivery import Answer
from tests.api.signed import call
from tests.api.world import World

URL = "https://hooks.example.com/rehost"


def made(world: World, **parameters: str) -> dict[str, Any]:
    status, reply = call(world, "CreateWebhook", Url=URL, **parameters)
    assert status == 200, reply
    return reply


def shown(world: World) -> list[dict[str, Any]]:
    reply = call(world, "DescribeWebhooks")[1]
    assert reply["TotalCount"] == len(reply["Webhooks"]["Webhook"])
    return list(reply["Webhooks"]["Webhook"])


def test_a_hooks_life(world: World) -> None:
    hook = made(world, Event__1="job.*", Event__2="InError")
    assert hook["WebhookId"].startswith("wh-")
    assert hook["Secret"].startswith("whsec_")
    (one,) = shown(world)
    assert hook["Secret"] not in str(one)
    assert one.pop("CreationTime").endswith("Z")
    assert one == {
        "WebhookId": hook["WebhookId"], "Url": URL, "Enabled": True, "FailedAttempts": 0, "Reason": "",
        "Events": {"Event": ["job.*", "InError"]},
    }  # fmt: skip
    call(world, "ModifyWebhookAttribute", WebhookId=hook["WebhookId"], Enabled="false")
    assert shown(world)[0]["Enabled"] is False
    assert call(world, "DeleteWebhook", WebhookId=hook["WebhookId"])[1].keys() == {"RequestId"}
    assert shown(world) == []


def test_attempts_are_listed(world: World) -> None:
    hook = made(world)["WebhookId"]
    call(world, "TestWebhook", WebhookId=hook)
    pending = world.store.deliveries.next(hook)
    assert pending is not None
    claim = world.store.deliveries.claim(pending)
    assert claim is not None
    world.store.deliveries.record(pending, claim, Answer(None, "no answer within 10 s", 10.0), 1.0)
    reply = call(world, "DescribeWebhookDeliveries", WebhookId=hook)[1]
    (attempt,) = reply["Attempts"]["Attempt"]
    assert attempt.pop("Time").endswith("Z")
    assert attempt == {
        "Attempt": 1, "Error": "no answer within 10 s", "MessageId": pending.message.id,
        "Milliseconds": 10000, "ResourceId": hook, "Type": "webhook.test",
    }  # fmt: skip
    (one,) = shown(world)
    assert (one["FailedAttempts"], one["Reason"]) == (1, "no answer within 10 s")
    assert one["NextAttemptTime"].endswith("Z")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingUrl"),
        ({"Url": "hooks.example.com"}, "InvalidUrl.Malformed"),
        ({"Url": "https://ann:pw@hooks.example.com"}, "InvalidUrl.Malformed"),
        ({"Url": URL + "x" * 2048}, "InvalidUrl.Malformed"),
        ({"Url": URL, "Event__1": "jobs.*"}, "InvalidEvent.ValueNotSupported"),
        ({"Url": URL, "Event__1": "*", "Event__2": "*"}, "Duplicate.Event"),
        ({"Url": URL, **{f"Event__{n}": f"job.{n}" for n in range(1, 22)}}, "NumberExceed.Events"),
    ],
)
def test_what_cannot_be_made(world: World, parameters: dict[str, str], code: str) -> None:
    status, reply = call(world, "CreateWebhook", **parameters)
    assert (status, reply["Code"]) == (400, code)
    assert shown(world) == []


def test_an_account_has_so_many(world: World) -> None:
    world.services = replace(world.services, webhook_quota=1)
    made(world)
    status, reply = call(world, "CreateWebhook", Url=URL)
    assert (status, reply["Code"]) == (400, "QuotaExceeded.Webhook")


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("DeleteWebhook", {}),
        ("TestWebhook", {}),
        ("DescribeWebhookDeliveries", {}),
        ("ModifyWebhookAttribute", {"Enabled": "true"}),
    ],
)
def test_other_accounts_hooks_do_not_exist(world: World, action: str, more: dict[str, str]) -> None:
    other = world.store.webhooks.create("9999999999999999", URL, (), "k")
    for hook in (other.id, "wh-00000000000000000000"):
        status, reply = call(world, action, WebhookId=hook, **more)
        assert (status, reply["Code"]) == (404, "InvalidWebhookId.NotFound")
    assert world.store.webhooks.get("9999999999999999", other.id) == other
