"""What the newest SDK's models have is here by the same names; what they lack is marked as rehost's own."""

import warnings
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    from alibabacloud_smc20190601 import models

from rehost.api.actions import ACTIONS
from rehost.api.spec import Field, Fields, Parameter, Struct, Structs, Wrapped
from tests.api import sdks

OF_ANY_REQUEST = {"ownerid", "resourceowneraccount", "requestid"}


def of_model(model: Any, path: str = "") -> Iterator[str]:
    """Dotted names in lower case, which is what the models' names have in common with the wire's."""
    for name, kind in get_type_hints(model.__init__).items():
        here = f"{path}{name.replace('_', '')}"
        yield here
        inner = (get_args(kind) or (kind,))[0]  # of a list, or the type itself
        if hasattr(inner, "from_map"):
            yield from of_model(inner, f"{here}.")


def of_parameters(parameters: tuple[Parameter, ...], path: str = "") -> Iterator[tuple[str, bool]]:
    """Each name, and whether it is marked."""
    for parameter in parameters:
        here = f"{path}{parameter.name.lower()}"
        yield here, parameter.addition
        if isinstance(parameter, Struct | Structs):
            yield from of_parameters(parameter.members, f"{here}.")


def of_reply(fields: Fields, path: str = "") -> Iterator[tuple[str, bool]]:
    for field in fields:
        here = f"{path}{field.name.lower()}"
        yield here, isinstance(field, Field) and field.addition
        if isinstance(field, Wrapped):
            here = f"{here}.{field.item.lower()}"
            yield here, False
        if not isinstance(field, Field):
            yield from of_reply(field.fields, f"{here}.")


@pytest.mark.parametrize("name", sorted(sdks.ACTIONS))
def test_additions_are_marked_and_nothing_else_is_missing(name: str) -> None:
    action = ACTIONS[name]
    for ours, model in (
        (dict(of_parameters(action.parameters)), f"{name}Request"),
        (dict(of_reply(action.reply)), f"{name}ResponseBody"),
    ):
        theirs = set(of_model(getattr(models, model))) - OF_ANY_REQUEST
        assert theirs - ours.keys() == set(), model
        assert ours.keys() - theirs == {own for own, marked in ours.items() if marked}, model
