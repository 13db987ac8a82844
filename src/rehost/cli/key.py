"""`rehost key`: access keys for the API, in the control plane's data folder."""

from contextlib import closing
from typing import Annotated

import typer

from rehost.api import times
from rehost.cli import datafolder, firstkey
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_fields, print_json, print_table
from rehost.store.keys import KeyStatus

app = typer.Typer(no_args_is_help=True, help="Access keys: who may call the API.")


@app.command()
def create(data: Data = DATA, as_json: Json = False) -> None:
    """Make an access key. Its secret is shown now and never again."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        key = store.keys.create(firstkey.ACCOUNT)
    if as_json:
        print_json({"AccessKeyId": key.id, "AccessKeySecret": key.secret})
    else:
        print_fields({"AccessKeyId": key.id, "AccessKeySecret": key.secret})
        note("the secret is not shown again")


@app.command("list")
def list_keys(data: Data = DATA, as_json: Json = False) -> None:
    """List the access keys, without their secrets."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        keys = store.keys.all()
    if as_json:
        print_json(
            [{"AccessKeyId": key.id, "Status": key.status, "CreationTime": key.created} for key in keys]
        )
        return
    print_table(("id", "status", "created"), ((key.id, key.status, times.write(key.created)) for key in keys))


@app.command()
def disable(
    key: Annotated[str, typer.Argument(metavar="KEY", help="An access key's id, LTAI….")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Refuse an access key from now on."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.keys.set_status(key, KeyStatus.INACTIVE)
    if as_json:
        print_json({"AccessKeyId": key, "Status": KeyStatus.INACTIVE})
    else:
        note(f"{key} is disabled")
