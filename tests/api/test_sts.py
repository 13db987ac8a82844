"""Temporary keys: how they are asked for, what they may do, and every way in which one is refused."""

import json
from typing import Any

import pytest

from rehost.api import times
from rehost.store.keys import AccessKey, KeyStatus, Session
from rehost.store.principals import PrincipalKind
from tests.api.signed import send, sign_v1, v1_parameters, v3_headers
from tests.api.world import ACCOUNT, World

ACTION = "DescribeSourceServers"
ROLE = f"acs:ram::{ACCOUNT}:role/reader"
STS = "2015-04-01"


@pytest.fixture
def reader(world: World) -> World:
    """A world with a role that may read."""
    world.store.principals.create(ACCOUNT, PrincipalKind.ROLE, "reader")
    world.store.policies.attach(ACCOUNT, "role/reader", "AliyunSMCReadOnlyAccess")
    return world


def v1(world: World, key: AccessKey, action: str, version: str = "2019-06-01", **business: str) -> Any:
    parameters = {**v1_parameters(key, world.clock(), action, **business), "Version": version}
    return send(world, "POST", sign_v1("POST", parameters, key.secret), {})


def v3(world: World, key: AccessKey, action: str, token: str, **business: str) -> Any:
    headers = v3_headers(
        key, world.clock(), action, business,
        **{"x-acs-security-token": token, "x-acs-accesskey-id": key.id},
    )  # fmt: skip
    return send(world, "POST", business, headers)


def assume(world: World, key: AccessKey | None = None, **business: str) -> tuple[int, dict[str, Any]]:
    wanted = {"RoleArn": ROLE, "RoleSessionName": "script", **business}
    status, reply = v1(world, key or world.key, "AssumeRole", STS, **wanted)
    return status, reply


def key_of(reply: dict[str, Any]) -> tuple[AccessKey, str]:
    made = reply["Credentials"]
    key = AccessKey(made["AccessKeyId"], ACCOUNT, made["AccessKeySecret"], KeyStatus.ACTIVE, 0)
    return key, made["SecurityToken"]


def session(world: World, seconds: float = 3600) -> Session:
    return world.store.keys.create_session(ACCOUNT, "", seconds, issuer=world.key.id)


def test_a_role_is_assumed(reader: World) -> None:
    status, reply = assume(reader)
    assert status == 200, reply
    assert reply["AssumedRoleUser"] == {"Arn": f"{ROLE}/script", "AssumedRoleId": "reader:script"}
    end = times.parse(reply["Credentials"]["Expiration"])
    assert abs(end - reader.clock() - 3600) < 60
    key, token = key_of(reply)
    assert key.id.startswith("STS.")
    assert v1(reader, key, ACTION, SecurityToken=token)[0] == 200
    assert v3(reader, key, ACTION, token)[0] == 200
    status, refused = v1(reader, key, "DeleteSourceServer", SecurityToken=token, SourceId="s-1")
    assert (status, refused["Code"]) == (403, "Forbidden.Unauthorized")
    assert "role/reader/script" in refused["Message"]


def test_a_session_policy_narrows_and_never_widens(reader: World) -> None:
    statement = {"Effect": "Allow", "Action": ["smc:DescribeReplicationJobs", "smc:Delete*"], "Resource": "*"}
    policy = json.dumps({"Version": "1", "Statement": [statement]})
    key, token = key_of(assume(reader, Policy=policy)[1])
    assert v1(reader, key, "DescribeReplicationJobs", SecurityToken=token)[0] == 200
    for action in (ACTION, "DeleteSourceServer"):
        status, reply = v1(reader, key, action, SecurityToken=token, SourceId="s-1")
        assert (status, reply["Code"]) == (403, "Forbidden.Unauthorized")


def test_who_am_i(reader: World) -> None:
    reader.store.principals.create(ACCOUNT, PrincipalKind.USER, "ann")
    user = reader.store.keys.create(ACCOUNT, "user/ann")
    key, token = key_of(assume(reader)[1])
    found = [
        v1(reader, reader.key, "GetCallerIdentity", STS)[1],
        v1(reader, user, "GetCallerIdentity", STS)[1],
        v1(reader, key, "GetCallerIdentity", STS, SecurityToken=token)[1],
    ]
    assert [(one["IdentityType"], one["Arn"].rpartition(":")[2]) for one in found] == [
        ("Account", "root"),
        ("RAMUser", "user/ann"),
        ("AssumedRoleUser", "role/reader/script"),
    ]
    assert {one["AccountId"] for one in found} == {ACCOUNT}


def test_a_user_assumes_what_its_policies_allow(reader: World) -> None:
    reader.store.principals.create(ACCOUNT, PrincipalKind.USER, "ann")
    user = reader.store.keys.create(ACCOUNT, "user/ann")
    status, reply = assume(reader, user)
    assert (status, reply["Code"]) == (403, "NoPermission")
    assert reply["Message"].startswith(
        "You are not authorized to do this action. You should be authorized by"
    )
    assert ROLE in reply["Message"]
    reader.store.policies.attach(ACCOUNT, "user/ann", "AliyunSTSAssumeRoleAccess")
    assert assume(reader, user)[0] == 200


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"RoleArn": f"acs:ram::{ACCOUNT}:role/none"}, 404, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::2:role/reader"}, 404, "EntityNotExist.Role"),
        ({"RoleArn": "reader"}, 400, "InvalidRoleArn.Malformed"),
        ({"RoleArn": ""}, 400, "MissingRoleArn"),
        ({"RoleSessionName": "a b"}, 400, "InvalidRoleSessionName.Malformed"),
        ({"DurationSeconds": "899"}, 400, "InvalidDurationSeconds.ValueNotSupported"),
        ({"DurationSeconds": "43201"}, 400, "InvalidDurationSeconds.ValueNotSupported"),
        ({"Policy": "{}"}, 400, "InvalidParameter.PolicyGrammar"),
        ({"Policy": "x" * 2049}, 400, "InvalidPolicy.Malformed"),
    ],
)
def test_what_cannot_be_assumed(reader: World, wrong: dict[str, str], status: int, code: str) -> None:
    got, reply = assume(reader, **wrong)
    assert (got, reply["Code"]) == (status, code)


def test_another_accounts_role_does_not_exist(reader: World) -> None:
    other = reader.store.keys.create("2")
    assert assume(reader, other)[1]["Code"] == "EntityNotExist.Role"


def test_a_token_is_checked_with_both_signatures(world: World) -> None:
    mine, other = session(world), session(world)
    changed = mine.token[:-1] + ("a" if mine.token[-1] != "a" else "b")
    for token, code in (
        (mine.token, None),
        ("", "MissingSecurityToken"),
        ("t", "InvalidSecurityToken.Malformed"),
        (mine.token[:-1], "InvalidSecurityToken.Malformed"),
        (other.token, "InvalidSecurityToken.MismatchWithAccessKey"),
        (changed, "InvalidSecurityToken.MismatchWithAccessKey"),
    ):
        status, reply = v1(world, mine.key, ACTION, SecurityToken=token)
        assert (status, reply.get("Code")) == (400 if code else 200, code)
        status, reply = v3(world, mine.key, ACTION, token)
        assert (status, reply.get("Code")) == (400 if code else 200, code)
        assert token[:-1] not in json.dumps(reply) or len(token) < 2


def test_a_permanent_key_has_no_token(world: World) -> None:
    reply = v1(world, world.key, ACTION, SecurityToken=session(world).token)[1]
    assert reply["Code"] == "InvalidSecurityToken.MismatchWithAccessKey"


def test_the_end_of_a_session(world: World) -> None:
    mine = session(world, 900)
    world.clock.ahead = 899
    assert v3(world, mine.key, ACTION, mine.token)[0] == 200
    world.clock.ahead = 901
    status, reply = v3(world, mine.key, ACTION, mine.token)
    assert (status, reply["Code"]) == (400, "InvalidSecurityToken.Expired")
    world.clock.ahead = 3 * 86400
    session(world)  # whoever asks for one clears away what is long over
    assert v1(world, mine.key, ACTION, SecurityToken=mine.token)[1]["Code"] == "InvalidAccessKeyId.NotFound"


def test_a_disabled_key_takes_its_sessions_with_it(world: World) -> None:
    mine = session(world)
    world.store.keys.set_status(world.key.id, KeyStatus.INACTIVE)
    world.store.keys.set_status(world.key.id, KeyStatus.ACTIVE)
    reply = v1(world, mine.key, ACTION, SecurityToken=mine.token)[1]
    assert reply["Code"] == "InvalidAccessKeyId.NotFound"


def test_a_chain_of_sessions_ends_with_the_key_at_its_begin(reader: World) -> None:
    reader.store.policies.attach(ACCOUNT, "role/reader", "AliyunSTSAssumeRoleAccess")
    first, token = key_of(assume(reader)[1])
    second, second_token = key_of(assume(reader, first, SecurityToken=token)[1])
    assert v1(reader, second, ACTION, SecurityToken=second_token)[0] == 200
    reader.store.keys.delete(reader.key.id)
    reply = v1(reader, second, ACTION, SecurityToken=second_token)[1]
    assert reply["Code"] == "InvalidAccessKeyId.NotFound"


def test_a_deleted_role_takes_its_sessions_with_it(reader: World) -> None:
    key, token = key_of(assume(reader)[1])
    reader.store.principals.delete(ACCOUNT, PrincipalKind.ROLE, "reader")
    assert v1(reader, key, ACTION, SecurityToken=token)[1]["Code"] == "InvalidAccessKeyId.NotFound"


@pytest.mark.parametrize("name", ["x-acs-security-token", "x-acs-accesskey-id"])
def test_headers_that_say_who_asks_are_signed(world: World, name: str) -> None:
    mine = session(world)
    headers = v3_headers(mine.key, world.clock(), ACTION, {}, **{"x-acs-security-token": mine.token})
    del headers["x-acs-security-token"]
    unsigned = v3_headers(mine.key, world.clock(), ACTION, {})
    unsigned[name] = mine.token
    assert send(world, "POST", {}, unsigned)[1]["Code"] == "IncompleteSignature"
    other = v3_headers(mine.key, world.clock(), ACTION, {}, **{"x-acs-accesskey-id": world.key.id})
    assert send(world, "POST", {}, other)[1]["Code"] == "IncompleteSignature"
