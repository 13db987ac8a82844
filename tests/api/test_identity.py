"""Who may call: every way in which a signed request is refused, with the gateway's code and HTTP status."""

import hashlib

import pytest

from rehost.api import signature, times
from rehost.store.keys import AccessKey, KeyStatus
from tests.api.signed import call, send, sign_v1, v1_parameters, v3_headers
from tests.api.world import World

ACTION = "DescribeSourceServers"


def test_v1_in_query_in_form_and_over_both(world: World) -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    signed = sign_v1("POST", v1_parameters(world.key, world.clock(), ACTION, Name="a b*+ü"), world.key.secret)
    names = list(signed)
    for split in (0, 3, len(names)):
        parameters = dict(signed, SignatureNonce=f"n{split}")
        parameters = sign_v1(
            "POST", {n: v for n, v in parameters.items() if n != "Signature"}, world.key.secret
        )
        query = {name: parameters[name] for name in names[:split]}
        body = signature.canonical_query([(name, parameters[name]) for name in names[split:]]).encode()
        status, reply = send(world, "POST", query, form, body)
        assert (status, reply.get("TotalCount")) == (200, 0), reply


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_a_value_in_query_and_form_is_one(world: World) -> None:
    """As alibabacloud-tea-rpc sends RegionId, which signs it once."""
    signed = sign_v1(
        "POST", v1_parameters(world.key, world.clock(), ACTION, RegionId="cn-a"), world.key.secret
    )
    assert send(world, "POST", signed, FORM, b"RegionId=cn-a")[0] == 200
    query = {"RegionId": "cn-a"}
    headers = v3_headers(world.key, world.clock(), ACTION, query, b"RegionId=cn-a", **FORM)
    assert send(world, "POST", query, headers, b"RegionId=cn-a")[0] == 200


@pytest.mark.parametrize("form", [b"RegionId=cn-b", b"RegionId=", b"Page=1&Page=1"])
def test_two_values_are_refused(world: World, form: bytes) -> None:
    signed = sign_v1(
        "POST", v1_parameters(world.key, world.clock(), ACTION, RegionId="cn-a"), world.key.secret
    )
    status, reply = send(world, "POST", signed, FORM, form)
    assert (status, reply["Code"]) == (400, "InvalidParameter.Format")
    assert "it is given more than once" in reply["Message"]


def test_v3(world: World) -> None:
    query = {"PageSize": "5", "Name": "*()!' /"}
    headers = v3_headers(world.key, world.clock(), ACTION, query)
    status, reply = send(world, "POST", query, headers)
    assert (status, reply["PageSize"]) == (200, 5)


def test_a_wrong_secret_shows_the_string_to_sign(world: World) -> None:
    parameters = v1_parameters(world.key, world.clock(), ACTION)
    status, reply = send(world, "GET", sign_v1("GET", parameters, "wrong"), {})
    assert (status, reply["Code"]) == (400, "SignatureDoesNotMatch")
    expected = signature.string_to_sign_v1("GET", list(parameters.items()))
    assert reply["Message"] == (
        f"Specified signature is not matched with our calculation. server string to sign is:{expected}"
    )
    assert set(reply) == {"RequestId", "HostId", "Code", "Message", "Recommend"}


@pytest.mark.parametrize("name", ["PageSize", "Action", "Timestamp", "SignatureNonce", "New"])
def test_a_changed_or_added_parameter_does_not_verify(world: World, name: str) -> None:
    signed = sign_v1("GET", v1_parameters(world.key, world.clock(), ACTION, PageSize="5"), world.key.secret)
    other = {
        "PageSize": "6",
        "Action": "DescribeReplicationJobs",
        "Timestamp": times.write(world.clock() + 5),
        "SignatureNonce": "other",
        "New": "1",
    }
    status, reply = send(world, "GET", {**signed, name: other[name]}, {})
    assert (status, reply["Code"]) == (400, "SignatureDoesNotMatch")


def test_the_method_is_signed(world: World) -> None:
    signed = sign_v1("GET", v1_parameters(world.key, world.clock(), ACTION), world.key.secret)
    assert send(world, "POST", signed, {})[1]["Code"] == "SignatureDoesNotMatch"


def test_a_nonce_is_good_once(world: World) -> None:
    signed = sign_v1("GET", v1_parameters(world.key, world.clock(), ACTION), world.key.secret)
    assert send(world, "GET", signed, {})[0] == 200
    status, reply = send(world, "GET", signed, {})
    assert (status, reply["Code"]) == (400, "SignatureNonceUsed")
    assert reply["Message"] == "Specified signature nonce was used already."


def test_a_nonce_is_the_keys_own_and_not_used_up_by_a_wrong_signature(world: World) -> None:
    other = world.store.keys.create("2")
    for key, secret, code in (
        (world.key, "wrong", "SignatureDoesNotMatch"),
        (world.key, world.key.secret, None),
        (other, other.secret, None),
    ):
        parameters = {**v1_parameters(key, world.clock(), ACTION), "SignatureNonce": "once"}
        assert send(world, "GET", sign_v1("GET", parameters, secret), {})[1].get("Code") == code


def test_nonces_of_both_signatures_are_one_space(world: World) -> None:
    parameters = {**v1_parameters(world.key, world.clock(), ACTION), "SignatureNonce": "shared"}
    assert send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})[0] == 200
    headers = v3_headers(world.key, world.clock(), ACTION, {}, **{"x-acs-signature-nonce": "shared"})
    assert send(world, "POST", {}, headers)[1]["Code"] == "SignatureNonceUsed"


def test_unknown_and_disabled_keys(world: World) -> None:
    unknown = AccessKey("LTAIunknown", "1", "secret", KeyStatus.ACTIVE, 0)
    status, reply = call(world, ACTION, key=unknown)
    assert (status, reply["Code"]) == (404, "InvalidAccessKeyId.NotFound")
    assert reply["Message"] == "Specified access key is not found."
    world.store.keys.set_status(world.key.id, KeyStatus.INACTIVE)
    status, reply = call(world, ACTION)
    assert (status, reply["Code"]) == (400, "InvalidAccessKeyId.Inactive")
    assert reply["Message"] == "Specified access key is disabled."


@pytest.mark.parametrize("off", [-16 * 60, 16 * 60])
def test_old_and_future_requests_are_refused(world: World, off: float) -> None:
    signed = sign_v1("GET", v1_parameters(world.key, world.clock() + off, ACTION), world.key.secret)
    status, reply = send(world, "GET", signed, {})
    assert (status, reply["Code"]) == (400, "InvalidTimeStamp.Expired")
    headers = v3_headers(world.key, world.clock() + off, ACTION, {})
    assert send(world, "POST", {}, headers)[1]["Code"] == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize("off", [-14 * 60, 14 * 60])
def test_clocks_may_differ(world: World, off: float) -> None:
    signed = sign_v1("GET", v1_parameters(world.key, world.clock() + off, ACTION), world.key.secret)
    assert send(world, "GET", signed, {})[0] == 200


def test_a_nonce_outlives_every_time_at_which_its_request_is_fresh(world: World) -> None:
    """A request dated into the future stays refused until it is too old."""
    signed = sign_v1("GET", v1_parameters(world.key, world.clock() + 14 * 60, ACTION), world.key.secret)
    assert send(world, "GET", signed, {})[0] == 200
    world.clock.ahead = 28 * 60
    for _ in range(300):  # enough uses for a sweep of what has expired
        world.store.nonces.use("x", str(_), world.clock() + 60)
    assert send(world, "GET", signed, {})[1]["Code"] == "SignatureNonceUsed"


@pytest.mark.parametrize(
    "text", ["yesterday", "2020-01-01 00:00:00", "2020-13-01T00:00:00Z", "20200101T000000Z"]
)
def test_a_time_of_another_form(world: World, text: str) -> None:
    parameters = {**v1_parameters(world.key, world.clock(), ACTION), "Timestamp": text}
    status, reply = send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})
    assert (status, reply["Code"]) == (400, "InvalidTimeStamp.Format")


@pytest.mark.parametrize(
    "name",
    [
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "Timestamp",
        "Version",
        "Action",
    ],
)
def test_missing_common_parameters(world: World, name: str) -> None:
    parameters = v1_parameters(world.key, world.clock(), ACTION)
    del parameters[name]
    status, reply = send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})
    assert (status, reply["Code"]) == (400, f"Missing{name}")
    assert reply["Message"] == f"{name} is mandatory for this action."


def test_no_signature_at_all(world: World) -> None:
    parameters = v1_parameters(world.key, world.clock(), ACTION)
    assert send(world, "GET", parameters, {})[1]["Code"] == "MissingSignature"


@pytest.mark.parametrize(("name", "value"), [("SignatureMethod", "HMAC-MD5"), ("SignatureVersion", "2.0")])
def test_other_signature_methods(world: World, name: str, value: str) -> None:
    parameters = {**v1_parameters(world.key, world.clock(), ACTION), name: value}
    reply = send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})[1]
    assert reply["Code"] == "InvalidSignatureMethod"


def test_security_tokens_are_not_issued(world: World) -> None:
    reply = call(world, ACTION, SecurityToken="t")[1]
    assert reply["Code"] == "InvalidSecurityToken.MismatchWithAccessKey"


def test_v3_mismatch_message(world: World) -> None:
    wrong = AccessKey(world.key.id, world.key.account, "wrong", KeyStatus.ACTIVE, 0)
    status, reply = send(world, "POST", {}, v3_headers(wrong, world.clock(), ACTION, {}))
    assert (status, reply["Code"]) == (400, "SignatureDoesNotMatch")
    assert reply["Message"].startswith(
        "Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n"
    )


@pytest.mark.parametrize("name", ["x-acs-action", "x-acs-date", "x-acs-version", "x-acs-signature-nonce"])
def test_v3_headers_are_signed(world: World, name: str) -> None:
    """Neither changed nor left out of SignedHeaders."""
    other = {
        "x-acs-action": "DescribeReplicationJobs",
        "x-acs-date": times.write(world.clock() - 7),
        "x-acs-version": "2019-06-01",
        "x-acs-signature-nonce": "n",
    }
    headers = v3_headers(world.key, world.clock(), ACTION, {})
    if name != "x-acs-version":
        reply = send(world, "POST", {}, {**headers, name: other[name]})[1]
        assert reply["Code"] == "SignatureDoesNotMatch"
    headers = v3_headers(world.key, world.clock(), ACTION, {})
    headers["authorization"] = headers["authorization"].replace(f"{name};", "").replace(f";{name}", "")
    assert send(world, "POST", {}, headers)[1]["Code"] == "IncompleteSignature"


def test_v3_body_is_what_arrived(world: World) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"PageSize=7"
    headers = v3_headers(world.key, world.clock(), ACTION, {}, body)
    status, reply = send(world, "POST", {}, {**headers, **form}, body)
    assert (status, reply["PageSize"]) == (200, 7)
    headers = v3_headers(world.key, world.clock(), ACTION, {}, body)
    reply = send(world, "POST", {}, {**headers, **form}, b"PageSize=8")[1]
    assert reply["Code"] == "SignatureDoesNotMatch"
    del headers["x-acs-content-sha256"]
    reply = send(world, "POST", {}, {**headers, **form}, b"PageSize=8")[1]
    assert reply["Code"] == "SignatureDoesNotMatch"
    assert hashlib.sha256(body).hexdigest() not in str(reply)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("ACS3-HMAC-SHA256 Credential=x", "IncompleteSignature"),
        ("ACS3-HMAC-SM3 Credential=x,SignedHeaders=host,Signature=0", "InvalidSignatureMethod"),
        ("Basic eDp5", "MissingAccessKeyId"),
    ],
)
def test_other_authorizations(world: World, authorization: str, code: str) -> None:
    headers = v3_headers(world.key, world.clock(), ACTION, {})
    query = {} if authorization.startswith("ACS3") else {"Action": ACTION, "Version": "2019-06-01"}
    reply = send(world, "POST", query, {**headers, "authorization": authorization})[1]
    assert reply["Code"] == code


def test_action_and_version(world: World) -> None:
    status, reply = call(world, "DescribeRegions")
    assert (status, reply["Code"]) == (404, "InvalidAction.NotFound")
    parameters = {**v1_parameters(world.key, world.clock(), ACTION), "Version": "2014-05-26"}
    status, reply = send(world, "GET", sign_v1("GET", parameters, world.key.secret), {})
    assert (status, reply["Code"]) == (400, "InvalidVersion")
    assert reply["Message"] == "Specified parameter Version is not valid."


def test_secrets_are_in_no_reply(world: World) -> None:
    parameters = v1_parameters(world.key, world.clock(), ACTION)
    reply = send(world, "GET", sign_v1("GET", parameters, "wrong"), {})[1]
    assert world.key.secret not in str(reply)
