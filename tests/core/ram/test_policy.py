"""What policies allow: the rules of RAM, and that what is not known is never for the caller's good."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.ram.arn import Arn
from rehost.core.ram.condition import Context
from rehost.core.ram.policy import Asked, Effect, Policy, Statement, decide

HERE = Context("10.1.2.3", 1_900_000_000.0, True)
ACTIONS = ("smc:startreplicationjob", "smc:describe*", "smc:*", "*", "ecs:*", "smc:delete*")
PATTERNS = (
    "*",
    "acs:smc:*:*:*",
    "acs:smc:cn-a:*:*",
    "acs:smc:cn-*:1:replicationJob/*",
    "acs:smc:*:1:replicationJob/j-1",
    "acs:smc:*:2:*",
    "acs:ecs:*:*:*",
)


def arn(region: str | None = "cn-a", path: str = "replicationJob/j-1") -> Arn:
    return Arn("smc", region, "1", path)


def asked(action: str = "smc:StartReplicationJob", resource: Arn | None = None) -> Asked:
    return Asked(action, resource or arn(), HERE)


def statement(effect: Effect, action: str = "*", resource: str = "*", **negated: bool) -> Statement:
    return Statement(
        effect, (action,), negated.get("but_action", False), (resource,), negated.get("but_resource", False)
    )


def policy(*statements: Statement, name: str = "p") -> Policy:
    return Policy(name, statements)


STATEMENTS = st.builds(
    Statement,
    st.sampled_from(Effect),
    st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3).map(tuple),
    st.booleans(),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)
POLICIES = st.lists(st.builds(Policy, st.just("p"), st.lists(STATEMENTS, max_size=4).map(tuple)), max_size=4)
ASKED = st.builds(
    asked,
    st.sampled_from(["smc:StartReplicationJob", "smc:DescribeReplicationJobs", "ecs:RunInstances"]),
    st.builds(
        arn,
        st.sampled_from(["cn-a", "cn-b", None]),
        st.sampled_from(["replicationJob/j-1", "sourceServer/*"]),
    ),
)


@given(ASKED)
def test_nothing_is_allowed_by_nothing(question: Asked) -> None:
    assert not decide((), question).allowed


@given(POLICIES, ASKED)
def test_more_leave_never_forbids(policies: Sequence[Policy], question: Asked) -> None:
    before = decide(policies, question)
    after = decide([*policies, policy(statement(Effect.ALLOW))], question)
    assert after.allowed is not bool(before.denied_by)
    assert after.denied_by == before.denied_by


@given(POLICIES, ASKED)
def test_a_denial_of_all_wins_wherever_it_stands(policies: Sequence[Policy], question: Asked) -> None:
    denial = policy(statement(Effect.DENY), name="no")
    for sequence in ([denial, *policies], [*policies, denial]):
        assert not decide(sequence, question).allowed


@given(POLICIES, ASKED)
def test_the_order_of_policies_does_not_matter(policies: Sequence[Policy], question: Asked) -> None:
    assert decide(policies, question).allowed is decide(policies[::-1], question).allowed


@given(POLICIES, ASKED)
def test_policies_are_the_sum_of_their_statements(policies: Sequence[Policy], question: Asked) -> None:
    single = [policy(one) for each in policies for one in each.statements]
    assert decide(policies, question).allowed is decide(single, question).allowed


@given(POLICIES, st.sampled_from(["replicationJob/j-1", "sourceServer/*"]))
def test_an_unknown_region_allows_nothing_that_some_region_does_not(
    policies: Sequence[Policy], path: str
) -> None:
    if decide(policies, asked(resource=arn(None, path))).allowed:
        for region in ("cn-a", "cn-b", "eu-1", "x"):
            assert decide(policies, asked(resource=arn(region, path))).allowed, region


@given(STATEMENTS, ASKED)
def test_a_statement_and_its_exceptions_share_all_there_is(one: Statement, question: Asked) -> None:
    """Where the region is known: either it applies, or with NotAction turned round, on matching resources."""
    if question.resource.region is None:
        return
    wide = Statement(Effect.ALLOW, one.actions, False, ("*",), False)
    rest = Statement(Effect.ALLOW, one.actions, True, ("*",), False)
    assert decide([policy(wide)], question).allowed is not decide([policy(rest)], question).allowed
    wide = Statement(Effect.ALLOW, ("*",), False, one.resources, False)
    rest = Statement(Effect.ALLOW, ("*",), False, one.resources, True)
    assert decide([policy(wide)], question).allowed is not decide([policy(rest)], question).allowed


def test_the_case_of_actions_does_not_matter_that_of_resources_does() -> None:
    allow = policy(statement(Effect.ALLOW, "smc:start*", "acs:smc:*:*:replicationJob/j-1"))
    assert decide([allow], asked("SMC:STARTreplicationJob")).allowed
    assert not decide([allow], asked(resource=arn(path="replicationjob/j-1"))).allowed


@pytest.mark.parametrize(
    ("pattern", "known", "unknown"),
    [
        ("*", True, True),
        ("acs:smc:*:*:*", True, True),
        ("acs:smc:cn-a:*:*", True, False),
        ("acs:smc:cn-b:*:*", False, False),
    ],
)
def test_regions(pattern: str, known: bool, unknown: bool) -> None:
    allow = policy(statement(Effect.ALLOW, resource=pattern))
    assert decide([allow], asked()).allowed is known
    assert decide([allow], asked(resource=arn(None))).allowed is unknown


def test_a_denial_in_one_region_holds_where_the_region_is_not_known() -> None:
    rules = policy(statement(Effect.ALLOW), statement(Effect.DENY, resource="acs:smc:cn-b:*:*"), name="b")
    assert decide([rules], asked()).allowed
    assert decide([rules], asked(resource=arn(None))).denied_by == "b"
    but = policy(
        statement(Effect.ALLOW), statement(Effect.DENY, resource="acs:smc:cn-a:*:*", but_resource=True)
    )
    assert decide([but], asked()).allowed
    assert not decide([but], asked(resource=arn(None))).allowed


@given(st.text("ab:/*-", max_size=30), st.sampled_from(["replicationJob/*", "replicationJob/j-1"]))
def test_a_part_of_a_name_is_never_taken_for_the_next_one(region: str, path: str) -> None:
    """The region is the caller's text."""
    jobs = policy(statement(Effect.ALLOW, "smc:*", f"acs:smc:*:*:{path}"))
    for said in (region, f"cn-a:1:{path}", f"cn-a:1:replicationJob/{region}"):
        assert not decide([jobs], asked(resource=arn(said, "sourceServer/s-1"))).allowed
        assert decide([jobs], asked(resource=arn(said, "replicationJob/j-1"))).allowed
