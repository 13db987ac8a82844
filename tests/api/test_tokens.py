"""Access tokens, which are activation codes: made, listed and ended by the API, used by agents."""

from dataclasses import replace
from typing import Any

import pytest

from rehost.core.agentapi import Register
from rehost.core.errors import AccessTokenQuotaError, ActivationCodeError
from tests.api.signed import call
from tests.api.world import ACCOUNT, INVENTORY, World

DAY = 86400


def made(world: World, **parameters: str) -> dict[str, Any]:
    status, reply = call(world, "CreateAccessToken", **parameters)
    assert status == 200
    return reply


def listed(world: World, **parameters: str) -> list[dict[str, Any]]:
    reply = call(world, "ListAccessTokens", **parameters)[1]
    assert reply["TotalCount"] == len(reply["AccessTokens"]["AccessToken"])
    return list(reply["AccessTokens"]["AccessToken"])


def registers(world: World, code: str, secret: str = "a") -> bool:
    try:
        world.store.servers.register(Register(code, secret * 64, INVENTORY, "0.1.0"))
    except ActivationCodeError:
        return False
    return True


def test_an_agent_registers_with_a_token(world: World) -> None:
    token = made(world, Name="first", Description="For the web servers.", Count="2", TimeToLiveInDays="7")
    assert token["AccessTokenId"].startswith("at-")
    assert registers(world, token["AccessTokenCode"])
    (shown,) = listed(world)
    assert token["AccessTokenCode"] not in str(shown)
    assert shown.pop("CreationTime").endswith("Z")
    assert shown == {
        "AccessTokenId": token["AccessTokenId"], "Name": "first", "Description": "For the web servers.",
        "Count": "2", "RegisteredCount": "1", "TimeToLiveInDays": "7", "Status": "activated",
    }  # fmt: skip
    (server,) = call(world, "DescribeSourceServers")[1]["SourceServers"]["SourceServer"]
    assert server["State"] == "Available"


def test_defaults(world: World) -> None:
    made(world)
    (shown,) = listed(world)
    assert (shown["Count"], shown["TimeToLiveInDays"]) == ("100", "30")


@pytest.mark.parametrize("action", ["DisableAccessToken", "DeleteAccessToken"])
def test_an_ended_token_registers_nobody_and_hurts_nobody(world: World, action: str) -> None:
    token = made(world)
    assert registers(world, token["AccessTokenCode"], "a")
    for _ in range(1 if action == "DeleteAccessToken" else 2):  # disabling can be repeated
        assert call(world, action, AccessTokenId=token["AccessTokenId"])[1].keys() == {"RequestId"}
    assert not registers(world, token["AccessTokenCode"], "b")
    assert registers(world, token["AccessTokenCode"], "a")  # the known agent
    assert [one["Status"] for one in listed(world)] == (["unactivated"] if "Disable" in action else [])


def test_a_token_expires(world: World) -> None:
    token = made(world, TimeToLiveInDays="1")
    world.clock.ahead = DAY + 1
    assert not registers(world, token["AccessTokenCode"])
    assert [one["Status"] for one in listed(world, Status="expired")] == ["expired"]
    assert listed(world, Status="activated") == []


def test_filters(world: World) -> None:
    one, two, three = (made(world, Name=name)["AccessTokenId"] for name in ("one", "two", "three"))
    call(world, "DisableAccessToken", AccessTokenId=two)

    def found(**parameters: str) -> set[str]:
        return {token["AccessTokenId"] for token in listed(world, **parameters)}

    assert found() == {one, two, three}
    assert found(AccessTokenId__1=one, AccessTokenId__2=two) == {one, two}
    assert found(Name="three") == {three}
    assert found(Status="Unactivated") == {two}
    assert found(Status="unactivated", Name="one") == set()
    page = call(world, "ListAccessTokens", PageSize="2", PageNumber="2")[1]
    assert (page["TotalCount"], len(page["AccessTokens"]["AccessToken"])) == (3, 1)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Count": "0"}, "InvalidCount.ValueNotSupported"),
        ({"Count": "1001"}, "InvalidCount.ValueNotSupported"),
        ({"Count": "many"}, "InvalidParameter.Format"),
        ({"TimeToLiveInDays": "0"}, "InvalidTimeToLiveInDays.ValueNotSupported"),
        ({"TimeToLiveInDays": "91"}, "InvalidTimeToLiveInDays.ValueNotSupported"),
        ({"Name": "http://x"}, "InvalidName.Malformed"),
        ({"Name": "1st"}, "InvalidName.Malformed"),
        ({"Description": "https://x"}, "InvalidDescription.Malformed"),
    ],
)
def test_refusals(world: World, parameters: dict[str, str], code: str) -> None:
    status, reply = call(world, "CreateAccessToken", **parameters)
    assert (status, reply["Code"]) == (400, code)
    assert listed(world) == []


def test_other_accounts_tokens_do_not_exist(world: World) -> None:
    token, other = made(world), world.store.keys.create("2")
    assert call(world, "ListAccessTokens", other)[1]["TotalCount"] == 0
    for action in ("DisableAccessToken", "DeleteAccessToken"):
        status, reply = call(world, action, other, AccessTokenId=token["AccessTokenId"])
        assert (status, reply["Code"]) == (404, "InvalidAccessTokenId.NotFound")
        assert call(world, action)[1]["Code"] == "MissingAccessTokenId"
    assert registers(world, token["AccessTokenCode"])


def test_an_account_has_so_many_tokens_and_no_more(world: World) -> None:
    world.store.codes.create(ACCOUNT, "one", quota=1)
    with pytest.raises(AccessTokenQuotaError, match="1 activation codes"):
        world.store.codes.create(ACCOUNT, "two", quota=1)
    world.store.codes.create("2", "two", quota=1)
    world.services = replace(world.services, code_quota=1)
    status, reply = call(world, "CreateAccessToken")
    assert (status, reply["Code"]) == (400, "QuotaExceeded.AccessToken")
