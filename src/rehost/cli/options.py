"""Options that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rehost.api.actions import ACTIONS
from rehost.api.spec import Number
from rehost.cli import datafolder, firstkey

ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile-file",
        help="Access key and address of the control plane: a first-access-key.json. Without it: the variables"
        " REHOST_ENDPOINT, REHOST_ACCESS_KEY_ID, REHOST_ACCESS_KEY_SECRET and REHOST_CA, then"
        " ~/.config/rehost/config.json, then the control plane of this host.",
        show_default=False,
    ),
]
ImageId = Annotated[str, typer.Argument(metavar="IMAGE", help="An image's id, m-….")]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY[=VALUE]",
        help="A tag, repeatable; to find by, a key alone is any value.",
        show_default=False,
    ),
]
Data = Annotated[Path, typer.Option("--data", help="The control plane's data folder, on this host.")]
DATA = datafolder.DEFAULT
Account = Annotated[str, typer.Option("--account", help="An account's id or name.")]
ACCOUNT = firstkey.ACCOUNT


def tag_parameters(tags: list[str] | None) -> dict[str, str]:
    """Tags of the command line as the API's parameters."""
    parameters: dict[str, str] = {}
    for number, tag in enumerate(tags or (), 1):
        key, _, value = tag.partition("=")
        parameters |= {f"Tag.{number}.Key": key, f"Tag.{number}.Value": value}
    return parameters


def tags_text(reply: Mapping[str, Any]) -> str:
    """The tags in a resource's description, as one types them."""
    pairs = ((tag["Key"], tag["Value"]) for tag in reply["Tags"]["Tag"])
    return ", ".join(f"{key}={value}" if value else key for key, value in pairs)


def limits(action: str, parameter: str) -> dict[str, Any]:
    """`min` and `max` of an option that becomes a number in the API, from its description there."""
    found = next(known for known in ACTIONS[action].parameters if known.name == parameter)
    if not isinstance(found, Number):
        raise TypeError(f"{parameter} of {action} is not a number")
    return {"min": found.least, "max": found.most}
