"""What policies allow: a denial wins, and what nothing allows is denied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rehost.core.ram.arn import Arn, may_match, surely_matches
from rehost.core.ram.condition import Condition, Context
from rehost.core.ram.pattern import matches


class Effect(StrEnum):
    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Statement:
    effect: Effect
    actions: tuple[str, ...]  # patterns in lower case; cases are not told apart
    all_actions_but: bool  # NotAction: those that no pattern matches
    resources: tuple[str, ...]  # patterns
    all_resources_but: bool  # NotResource
    conditions: tuple[Condition, ...] = ()  # all have to hold


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One action on one resource, asked for by one request."""

    action: str  # smc:StartReplicationJob
    resource: Arn
    context: Context


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    denied_by: str = ""  # the policy that says no; empty: no policy says yes


def decide(policies: Sequence[Policy], asked: Asked) -> Verdict:
    for policy in policies:
        if _has(policy.statements, Effect.DENY, asked):
            return Verdict(False, policy.name)
    return Verdict(any(_has(policy.statements, Effect.ALLOW, asked) for policy in policies))


def _has(statements: Iterable[Statement], effect: Effect, asked: Asked) -> bool:
    return any(statement.effect is effect and _applies(statement, asked) for statement in statements)


def _applies(statement: Statement, asked: Asked) -> bool:
    return (
        _on_action(statement, asked.action)
        and _on_resource(statement, asked.resource)
        and all(condition.holds(asked.context) for condition in statement.conditions)
    )


def _on_action(statement: Statement, action: str) -> bool:
    named = any(matches(pattern, action.lower()) for pattern in statement.actions)
    return named is not statement.all_actions_but


def _on_resource(statement: Statement, resource: Arn) -> bool:
    """Where a resource's region is not known, a denial applies if it applies in any region, and an allowance
    if it applies in all of them."""
    denies = statement.effect is Effect.DENY
    match = may_match if denies is not statement.all_resources_but else surely_matches
    named = any(match(pattern, resource) for pattern in statement.resources)
    return named is not statement.all_resources_but
