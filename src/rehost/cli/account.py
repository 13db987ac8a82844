"""`rehost account`: whose resources, users and policies there are."""

from contextlib import closing
from typing import Annotated

import typer

from rehost.api import times
from rehost.cli import datafolder
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Accounts: none sees another one's servers, jobs and images.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name.")], data: Data = DATA, as_json: Json = False
) -> None:
    """Make an account. `rehost key create --account` gives it an access key."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        account = store.accounts.create(name)
    if as_json:
        print_json(account)
    else:
        print(account.id)
        note(f"next: rehost key create --account {name}")


@app.command("list")
def list_accounts(data: Data = DATA, as_json: Json = False) -> None:
    """List the accounts."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        accounts = store.accounts.all()
    if as_json:
        print_json(accounts)
        return
    print_table(("id", "name", "created"), ((a.id, a.name, times.write(a.created)) for a in accounts))


@app.command()
def delete(
    account: Annotated[str, typer.Argument(help="Its id or name.")], data: Data = DATA, as_json: Json = False
) -> None:
    """Delete an account with its users, policies, keys and codes; refused while it has resources."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        found = store.accounts.find(account)
        store.accounts.delete(found.id)
    if as_json:
        print_json(found)
    else:
        note(f"the account {found.name} is deleted")
