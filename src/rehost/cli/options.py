"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
Data = Annotated[Path, typer.Option("--data", help="The control plane's data folder, on this host.")]
DATA = datafolder.DEFAULT
Account = Annotated[str, typer.Option("--account", help="An account's id or name.")]
ACCOUNT = firstkey.ACCOUNT
