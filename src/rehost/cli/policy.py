"""`rehost policy`: what users and roles may do, in RAM's JSON."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rehost.cli import datafolder
from rehost.cli.options import ACCOUNT, DATA, Account, Data
from rehost.cli.output import Json, errors_shown, note, print_json, print_table
from rehost.core.errors import InvalidValueError

app = typer.Typer(no_args_is_help=True, help="Policies: what users and roles may do.")

Name = Annotated[str, typer.Argument(metavar="POLICY", help="A policy's name.")]
Holder = Annotated[str, typer.Argument(metavar="user/NAME|role/NAME", help="A user or a role.")]


@app.command()
def put(
    name: Name,
    file: Annotated[Path, typer.Argument(help="The policy as JSON; - reads it from stdin.")],
    account: Account = ACCOUNT,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Make a policy, or give one another document; who has it may do what the new one says at once."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        owner = store.accounts.find(account).id
        store.policies.put(owner, name, read_document(file))
        holders = store.policies.holders(owner, name)
    if as_json:
        print_json({"PolicyName": name, "AttachedTo": holders})
    else:
        note(f"{name} is attached to {', '.join(holders) or 'nobody'}")


@app.command("list")
def list_policies(account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
    """List the policies of an account and of the system, and who has them."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        owner = store.accounts.find(account).id
        rows = [
            {
                "PolicyName": policy.name,
                "PolicyType": "System" if policy.system else "Custom",
                "AttachedTo": store.policies.holders(owner, policy.name),
            }
            for policy in store.policies.all(owner)
        ]
    if as_json:
        print_json(rows)
        return
    shown = ((row["PolicyName"], row["PolicyType"], ", ".join(row["AttachedTo"])) for row in rows)
    print_table(("name", "type", "attached to"), shown)


@app.command()
def show(name: Name, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
    """Print a policy's document."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        found = store.policies.get(store.accounts.find(account).id, name)
    sys.stdout.write(found.document.rstrip() + "\n")


@app.command()
def delete(name: Name, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
    """Delete a policy that is attached to nobody."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.policies.delete(store.accounts.find(account).id, name)
    _say(as_json, name, f"{name} is deleted")


@app.command()
def attach(
    name: Name, to: Holder, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False
) -> None:
    """Let a user or a role do what a policy allows, from now on."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.policies.attach(store.accounts.find(account).id, to, name)
    _say(as_json, name, f"{name} is attached to {to}")


@app.command()
def detach(
    name: Name, holder: Holder, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False
) -> None:
    """Take a policy from a user or a role."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.policies.detach(store.accounts.find(account).id, holder, name)
    _say(as_json, name, f"{name} is detached from {holder}")


def read_document(file: Path) -> str:
    """The text of a file, or of stdin for `-`; InvalidValueError when it cannot be read."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"the policy {file} cannot be read: {error}") from error


def _say(as_json: bool, name: str, text: str) -> None:
    if as_json:
        print_json({"PolicyName": name})
    else:
        note(text)
