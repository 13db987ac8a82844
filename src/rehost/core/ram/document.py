"""Policies from their JSON text; an error names the place in it that is wrong."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rehost.core.errors import PolicyError
from rehost.core.ram.condition import OPERATORS, Condition, Key
from rehost.core.ram.policy import Effect, Policy, Statement

LONGEST = 6144  # characters of a document
VERSION = "1"

_ELEMENTS = {"Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_ACTION = re.compile(r"\*|[A-Za-z0-9*-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|acs:[^:]+:[^:]*:[^:]*:.+", re.DOTALL)


@lru_cache(maxsize=512)
def parse(name: str, text: str) -> Policy:
    """A policy by its document; PolicyError says where and why it is none. The last ones are kept: every
    request asks for its caller's."""
    document = _object(_json(text), "the policy", {"Version", "Statement"})
    if document.get("Version") != VERSION:
        raise _wrong("Version", f'has to be "{VERSION}"')
    statements = document.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    if not listed or listed == [None]:
        raise _wrong("Statement", "has to be a list with at least one statement")
    return Policy(name, tuple(_statement(one, f"Statement[{n}]") for n, one in enumerate(listed)))


def _json(text: str) -> Any:
    if len(text) > LONGEST:
        raise _wrong("the policy", f"has {len(text)} characters, at most {LONGEST} are allowed")
    try:
        return json.loads(text, object_pairs_hook=_unrepeated)
    except json.JSONDecodeError as error:
        raise _wrong(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}") from None
    except RecursionError:
        raise _wrong("the policy", "is nested too deeply") from None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's readers keep one of several equal names: a condition that its author wrote would be lost."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _wrong(_shown(name), "stands twice in the same object")
        found[name] = value
    return found


def _statement(value: Any, place: str) -> Statement:
    statement = _object(value, place, _ELEMENTS)
    effect = statement.get("Effect")
    if effect not in tuple(Effect):
        raise _wrong(f"{place}.Effect", "has to be Allow or Deny")
    actions, all_actions_but = _either(statement, "Action", _ACTION, "such as smc:Describe* or *", place)
    form = "such as acs:smc:*:*:sourceServer/s-1 or *"
    resources, all_resources_but = _either(statement, "Resource", _RESOURCE, form, place)
    conditions = _conditions(statement.get("Condition", {}), f"{place}.Condition")
    lowered = tuple(action.lower() for action in actions)
    return Statement(Effect(effect), lowered, all_actions_but, resources, all_resources_but, conditions)


def _either(
    statement: Mapping[str, Any], name: str, form: re.Pattern[str], says: str, place: str
) -> tuple[tuple[str, ...], bool]:
    """The texts of `name` or of `Not<name>`, and whether it is the latter."""
    negated = f"Not{name}" in statement
    if negated is (name in statement):
        raise _wrong(place, f"has to have either {name} or Not{name}")
    present = f"Not{name}" if negated else name
    texts = _texts(statement[present], f"{place}.{present}")
    for number, text in enumerate(texts):
        if not form.fullmatch(text):
            raise _wrong(f"{place}.{present}[{number}]", f"has to be {says}, not {_shown(text)}")
    return texts, negated


def _conditions(value: Any, place: str) -> tuple[Condition, ...]:
    found = []
    for name, keys in _object(value, place, OPERATORS.keys()).items():
        operator = OPERATORS[name]
        for key, values in _object(keys, f"{place}.{name}", set(Key)).items():
            where = f"{place}.{name}.{key}"
            if key != operator.key:
                raise _wrong(where, f"does not go with {name}, which compares {operator.key}")
            found.append(_condition(name, values, where))
    return tuple(found)


def _condition(name: str, values: Any, place: str) -> Condition:
    if isinstance(values, bool):
        values = str(values).lower()
    tests = []
    for number, text in enumerate(_texts(values, place)):
        try:
            tests.append(OPERATORS[name].read(text))
        except ValueError as error:
            raise _wrong(f"{place}[{number}]", f"has to be {error}, not {_shown(text)}") from None
    return Condition(tuple(tests), OPERATORS[name].negated)


def _object(value: Any, place: str, allowed: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "has to be an object")
    for name in value:
        if name not in allowed:
            raise _wrong(place, f"cannot have {_shown(name)}; known are {', '.join(sorted(allowed))}")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _wrong(place, "has to be a text or a list of texts")
    return tuple(texts)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:80] + "…")


def _wrong(place: str, what: str) -> PolicyError:
    return PolicyError(f"{place} {what}", "see docs/identity.md for what a policy can say")
