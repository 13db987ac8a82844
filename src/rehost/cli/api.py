"""`rehost api ACTION --Name value …`: any action of the API, with options, help and checks from its table."""

import difflib
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from rehost.api import codes, values
from rehost.api.actions import ACTIONS
from rehost.api.parameters import rows
from rehost.api.spec import Action, Truth
from rehost.cli.client import Client, load_profile
from rehost.cli.options import ProfileFile
from rehost.cli.output import Json, errors_shown, print_json, print_table, stdout
from rehost.core.errors import InvalidValueError

EVERYWHERE = ("RegionId", "OwnerId", "ResourceOwnerAccount", "ResourceOwnerId")
"""Scripts send these with any action; the API ignores them where an action does not have them."""

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}

_INDEX = re.compile(r"\.[0-9]+(?=\.|$)")
_HELP = ("--help", "-h")


def api(
    context: typer.Context,
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="CreateReplicationJob and the like.", show_default=False)
    ] = "",
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Call any action of the API: rehost api ACTION --Parameter value … Its reply is printed as JSON.

    `rehost api` lists the actions, `rehost api ACTION --help` the parameters of one.
    """
    if action in ("", *_HELP):
        _list_actions()
        return
    with errors_shown(as_json):
        described = _find(action)
        if any(word in _HELP for word in context.args):
            _explain(described)
            return
        parameters = given(described, context.args)
        values.parse(described, list(parameters.items()))
        print_json(Client(load_profile(profile_file)).call(described.name, parameters))


def given(action: Action, words: Sequence[str]) -> dict[str, str]:
    """Parameters from `--Name value`, `--Name=value`, or `--Name` alone where it is true or false.

    InvalidValueError for what the action does not have: a script's misspelt condition must not be ignored.
    """
    waiting = list(words)
    parameters: dict[str, str] = {}
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise InvalidValueError(f"{word} is not a parameter", f"write it as --Name {word}")
        _check_name(action, name)
        if name in parameters:
            raise InvalidValueError(f"--{name} is given twice", f"a list is --{name}.1 … --{name}.2 …")
        parameters[name] = value if equals else _value(action, name, waiting)
    return parameters


def _value(action: Action, name: str, waiting: list[str]) -> str:
    if waiting and not waiting[0].startswith("--"):
        return waiting.pop(0)
    if any(isinstance(known, Truth) and known.name == name for known in action.parameters):
        return "true"
    raise InvalidValueError(f"--{name} has no value", f"write --{name} VALUE, or --{name}=VALUE")


def _check_name(action: Action, name: str) -> None:
    known = {row.name for row in rows(action.parameters)}
    known |= {listed.removesuffix(".N") for listed in known} | set(EVERYWHERE)
    if _INDEX.sub(".N", name) in known:
        return
    near = difflib.get_close_matches(_INDEX.sub(".N", name), known, 1)
    hint = f"did you mean --{near[0]}? " if near else ""
    raise InvalidValueError(
        f"{action.name} has no parameter --{name}", f"{hint}rehost api {action.name} --help lists all"
    )


def _find(name: str) -> Action:
    try:
        return ACTIONS[name]
    except KeyError:
        near = difflib.get_close_matches(name, ACTIONS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidValueError(f"there is no action {name}", f"{hint}rehost api lists all") from None


def _list_actions() -> None:
    print_table(("action", "what it does"), ((action.name, action.about) for action in ACTIONS.values()))


def _explain(action: Action) -> None:
    console = stdout()
    console.print(f"rehost api {action.name} --Parameter value …\n\n{action.about}\n", markup=False)
    print_table(
        ("parameter", "type", "allowed", "default", "meaning"),
        (
            (
                f"--{row.name}",
                row.type,
                row.allowed,
                "required" if row.required else row.default,
                row.about,
            )
            for row in rows(action.parameters)
        ),
    )
    for rule in action.rules:
        console.print(f"- {rule.__doc__}", markup=False)
    console.print(f"\nError codes: {', '.join(codes.declared(action))}", markup=False)
