"""Policies as JSON: what they mean, and that an error names its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import PolicyError
from rehost.core.ram.arn import Arn
from rehost.core.ram.condition import Context
from rehost.core.ram.document import LONGEST, parse
from rehost.core.ram.policy import Asked, decide
from rehost.core.ram.system import SYSTEM_POLICIES

JOB = Arn("smc", "cn-a", "1", "replicationJob/j-1")
NOON = 1_893_499_200.0  # 2030-01-01T12:00:00Z


def document(*statements: Any, version: Any = "1") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def statement(**changes: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Action": "smc:*", "Resource": "*", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def allows(
    text: str, action: str = "smc:StartReplicationJob", address: str = "10.1.2.3", now: float = NOON,
    secure: bool = True,
) -> bool:  # fmt: skip
    return decide([parse("p", text)], Asked(action, JOB, Context(address, now, secure))).allowed


def test_one_value_may_stand_for_a_list_of_one() -> None:
    listed = statement(Action=["ecs:*", "smc:Start*"], Resource=["acs:smc:*:*:replicationJob/*"])
    assert allows(document(listed))
    assert allows(json.dumps({"Version": "1", "Statement": statement()}))


def test_exceptions() -> None:
    assert not allows(document(statement(Action=None, NotAction="smc:Start*")))
    assert allows(document(statement(Action=None, NotAction="smc:Delete*")))
    assert not allows(document(statement(Resource=None, NotResource="acs:smc:*:*:replicationJob/j-1")))
    assert allows(document(statement(Resource=None, NotResource="acs:smc:*:*:replicationJob/j-2")))


@pytest.mark.parametrize(
    ("operator", "value", "address", "holds"),
    [
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
        ("IpAddress", ["192.168.0.1", "10.1.2.3"], "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("IpAddress", "fd00::/8", "fd00::1", True),
        ("IpAddress", "::/0", "10.1.2.3", False),
        ("IpAddress", "0.0.0.0/0", "", False),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("NotIpAddress", ["192.168.0.0/16", "10.0.0.0/8"], "10.1.2.3", False),
        ("NotIpAddress", "10.0.0.0/8", "11.1.2.3", True),
        ("NotIpAddress", "10.0.0.0/8", "::ffff:10.1.2.3", False),
    ],
)
def test_where_a_request_comes_from(operator: str, value: Any, address: str, holds: bool) -> None:
    text = document(statement(Condition={operator: {"acs:SourceIp": value}}))
    assert allows(text, address=address) is holds


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("DateGreaterThan", "2030-01-01T11:59:59Z", True),
        ("DateGreaterThan", "2030-01-01T12:00:00Z", False),
        ("DateGreaterThanEquals", "2030-01-01T12:00:00Z", True),
        ("DateGreaterThan", "2030-01-01T20:30:00+08:00", False),
        ("DateLessThan", "2030-01-01T20:30:00+08:00", True),
        ("DateLessThan", "2030-01-01T12:00:00Z", False),
        ("DateLessThanEquals", "2030-01-01T12:00:00Z", True),
        ("DateEquals", "2030-01-01T12:00:00Z", True),
        ("DateNotEquals", "2030-01-01T12:00:00Z", False),
    ],
)
def test_when(operator: str, value: str, holds: bool) -> None:
    assert allows(document(statement(Condition={operator: {"acs:CurrentTime": value}}))) is holds


@pytest.mark.parametrize(
    ("value", "holds"), [("true", True), ("false", False), (True, True), (["true"], True)]
)
def test_over_tls(value: Any, holds: bool) -> None:
    text = document(statement(Condition={"Bool": {"acs:SecureTransport": value}}))
    assert allows(text, secure=True) is holds
    assert allows(text, secure=False) is not holds


def test_all_conditions_have_to_hold() -> None:
    both = {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}, "Bool": {"acs:SecureTransport": "true"}}
    text = document(statement(Condition=both))
    assert allows(text)
    assert not allows(text, secure=False)
    assert not allows(text, address="11.0.0.1")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "line 1, column 2 is not JSON"),
        ("[]", "the policy has to be an object"),
        (document(statement(), version="2"), 'Version has to be "1"'),
        (document(statement(), version=1), "Version"),
        ('{"Version": "1"}', "Statement has to be a list"),
        (document(), "Statement has to be a list"),
        (document("x"), "Statement[0] has to be an object"),
        (document(statement(), statement(Effect="allow")), "Statement[1].Effect has to be Allow or Deny"),
        (document(statement(Effect=["Allow"])), "Statement[0].Effect"),
        (document(statement(Sid="a")), "Statement[0] cannot have 'Sid'"),
        (document(statement(Action=None)), "Statement[0] has to have either Action or NotAction"),
        (document(statement(NotAction="smc:*")), "Statement[0] has to have either Action or NotAction"),
        (document(statement(NotResource="*")), "Statement[0] has to have either Resource or NotResource"),
        (document(statement(Action=[])), "Statement[0].Action has to be a text or a list of texts"),
        (document(statement(Action=["smc:*", 1])), "Statement[0].Action"),
        (document(statement(Action=["smc:*", "Describe*"])), "Statement[0].Action[1] has to be such as smc:"),
        (document(statement(Resource="acs:smc")), "Statement[0].Resource[0] has to be such as acs:smc:"),
        (document(statement(Condition=[])), "Statement[0].Condition has to be an object"),
        (document(statement(Condition={"IpAdress": {}})), "Statement[0].Condition cannot have 'IpAdress'"),
        (
            document(statement(Condition={"IpAddress": {"acs:CurrentTime": "10.0.0.1"}})),
            "Statement[0].Condition.IpAddress.acs:CurrentTime does not go with IpAddress",
        ),
        (
            document(statement(Condition={"Bool": {"acs:MFAPresent": "true"}})),
            "Statement[0].Condition.Bool cannot have 'acs:MFAPresent'",
        ),
        (
            document(statement(Condition={"IpAddress": {"acs:SourceIp": ["10.0.0.1", "10.0.0.0/33"]}})),
            "Statement[0].Condition.IpAddress.acs:SourceIp[1] has to be an IP address",
        ),
        (
            document(statement(Condition={"DateLessThan": {"acs:CurrentTime": "2030-01-01T12:00:00"}})),
            "acs:CurrentTime[0] has to be a time with its zone",
        ),
        (
            document(statement(Condition={"Bool": {"acs:SecureTransport": "yes"}})),
            "acs:SecureTransport[0] has to be true or false",
        ),
        ('{"Version": "1", "Statement": [], "Statement": []}', "'Statement' stands twice"),
        ("[" * 5000, "is nested too deeply"),
        (document(statement(Resource="acs:smc:*:*:" + "x" * LONGEST)), f"at most {LONGEST} are allowed"),
    ],
)  # fmt: skip
def test_an_error_names_its_place(text: str, place: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse("p", text)
    assert place in raised.value.what


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Version",
                    "Statement",
                    "Effect",
                    "Action",
                    "Resource",
                    "Condition",
                    "IpAddress",
                    "acs:SourceIp",
                ]
            ),
            inner | st.sampled_from(["1", "Allow", "smc:*", "*"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_whatever_is_given_is_a_policy_or_a_clear_error(value: Any) -> None:
    said = "a policy"
    try:
        parse("p", json.dumps(value))
    except PolicyError as error:
        said = error.what
    assert 0 < len(said) < 500


@pytest.mark.parametrize("name", SYSTEM_POLICIES)
def test_the_systems_policies_are_policies(name: str) -> None:
    assert parse(name, SYSTEM_POLICIES[name]).statements


def test_reading_is_not_writing() -> None:
    text = SYSTEM_POLICIES["AliyunSMCReadOnlyAccess"]
    assert allows(text, "smc:DescribeReplicationJobs")
    assert allows(text, "smc:ListTagResources")
    assert not allows(text, "smc:StartReplicationJob")
