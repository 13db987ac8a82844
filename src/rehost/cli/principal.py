"""`rehost user` and `rehost role`: whom policies are attached to. Users have keys, roles are assumed."""

from contextlib import closing
from typing import Annotated

import typer

from rehost.api import times
from rehost.cli import datafolder
from rehost.cli.options import ACCOUNT, DATA, Account, Data
from rehost.cli.output import Json, errors_shown, note, print_json, print_table
from rehost.store.principals import Principal, PrincipalKind

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, without user/ or role/.")]


def commands(kind: PrincipalKind, about: str, after: str) -> typer.Typer:
    """The commands of one kind; `after`: what comes after its creation."""
    app = typer.Typer(no_args_is_help=True, help=about)

    def create(name: Name, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
        with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
            made = store.principals.create(store.accounts.find(account).id, kind, name)
        if as_json:
            print_json(_shown(made))
        else:
            print(_shown(made)["Arn"])
            note(f"it may do nothing yet: rehost policy attach POLICY {made.name}; {after.format(name)}")

    def list_all(account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
        with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
            found = store.principals.all(store.accounts.find(account).id, kind)
        if as_json:
            print_json([_shown(one) for one in found])
        else:
            print_table(("name", "arn", "created"), (tuple(_shown(one).values()) for one in found))

    def delete(name: Name, account: Account = ACCOUNT, data: Data = DATA, as_json: Json = False) -> None:
        with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
            store.principals.delete(store.accounts.find(account).id, kind, name)
        if as_json:
            print_json({"Name": name})
        else:
            note(f"the {kind} {name} is deleted, with its keys")

    app.command("create", help=f"Make a {kind}.")(create)
    app.command("list", help=f"List the {kind}s of an account.")(list_all)
    app.command("delete", help=f"Delete a {kind}; its keys are refused from now on.")(delete)
    return app


def _shown(principal: Principal) -> dict[str, str]:
    return {
        "Name": principal.name.partition("/")[2],
        "Arn": f"acs:ram::{principal.account}:{principal.name}",
        "CreationTime": times.write(principal.created),
    }


user = commands(
    PrincipalKind.USER,
    "Users of an account: they may do what their policies allow.",
    "its key: rehost key create --user {}",
)
role = commands(
    PrincipalKind.ROLE,
    "Roles of an account: what a temporary key may do. The images of this host's driver have none, and the"
    " driver needs no service-linked role.",
    "a temporary key: rehost key assume --role {}",
)
