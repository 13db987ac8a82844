"""`rehost key`: access keys for the API, in the control plane's data folder."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rehost.api import sts, times
from rehost.cli import datafolder, secretskey
from rehost.cli.options import ACCOUNT, DATA, Account, Data
from rehost.cli.output import Json, errors_shown, note, print_fields, print_json, print_table
from rehost.cli.policy import read_document
from rehost.core.ram.document import parse
from rehost.store.keys import AccessKey, KeyStatus
from rehost.store.principals import PrincipalKind, full_name

app = typer.Typer(no_args_is_help=True, help="Access keys: who may call the API.")

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="An access key's id, LTAI…")]
User = Annotated[str, typer.Option("--user", help="Of this user; without it of the account itself.")]


@app.command()
def create(account: Account = ACCOUNT, user: User = "", data: Data = DATA, as_json: Json = False) -> None:
    """Make an access key. Its secret is shown now and never again."""
    principal = full_name(PrincipalKind.USER, user) if user else ""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        key = store.keys.create(store.accounts.find(account).id, principal)
    _show({"AccessKeyId": key.id, "AccessKeySecret": key.secret}, as_json)


@app.command()
def assume(
    role: Annotated[
        str, typer.Option("--role", help="It may do what this role may; without it what the account may.")
    ] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy as JSON: it may do no more than that.")
    ] = None,
    seconds: Annotated[
        int, typer.Option("--seconds", min=sts.SHORTEST, max=sts.LONGEST, help="How long it is good for.")
    ] = sts.USUAL,
    session: Annotated[str, typer.Option("--session", help="Its name in the audit trail.")] = "cli",
    account: Account = ACCOUNT,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Make a temporary key: id, secret and security token, good together and until their end.

    Over the API it is AssumeRole of version 2015-04-01.
    """
    principal = full_name(PrincipalKind.ROLE, role) if role else ""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        document = read_document(policy) if policy else ""
        if document:
            parse(str(policy), document)
        owner = store.accounts.find(account).id
        made = store.keys.create_session(owner, principal, seconds, name=session, policy=document)
    _show(
        {
            "AccessKeyId": made.key.id,
            "AccessKeySecret": made.key.secret,
            "SecurityToken": made.token,
            "Expiration": times.write(made.key.expires or 0),
        },
        as_json,
    )


@app.command("list")
def list_keys(
    temporary: Annotated[
        bool, typer.Option("--temporary", help="Those that end by themselves, too.")
    ] = False,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """List the access keys, without their secrets."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        keys = [key for key in store.keys.all() if temporary or not key.temporary]
    if as_json:
        print_json([_listed(key) for key in keys])
        return
    rows = (
        (key.id, key.account, key.who or "-", key.status, times.write(key.created), _end(key)) for key in keys
    )
    print_table(("id", "account", "of", "status", "created", "ends"), rows)


@app.command()
def disable(key: KeyId, data: Data = DATA, as_json: Json = False) -> None:
    """Refuse an access key from now on, and the temporary keys that it asked for."""
    _set_status(key, KeyStatus.INACTIVE, data, as_json)


@app.command()
def enable(key: KeyId, data: Data = DATA, as_json: Json = False) -> None:
    """Accept a disabled access key again."""
    _set_status(key, KeyStatus.ACTIVE, data, as_json)


@app.command()
def delete(key: KeyId, data: Data = DATA, as_json: Json = False) -> None:
    """Delete an access key, and the temporary keys that it asked for."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.keys.delete(key)
    if as_json:
        print_json({"AccessKeyId": key})
    else:
        note(f"{key} is deleted")


@app.command()
def rotate(data: Data = DATA, as_json: Json = False) -> None:
    """Seal all secrets in the database by a new key; access keys stay as they are, and `rehost serve` may
    run meanwhile. A backup of the database needs the key that was in its place then."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        count = secretskey.rotate(data / "keys", store.reseal)
    if as_json:
        print_json({"Secrets": count})
    else:
        note(f"{count} secret(s) are sealed by a new key; older backups need the one that was backed up then")


def _set_status(key: str, status: KeyStatus, data: Path, as_json: bool) -> None:
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        store.keys.set_status(key, status)
    if as_json:
        print_json({"AccessKeyId": key, "Status": status})
    else:
        note(f"{key} is {'enabled' if status is KeyStatus.ACTIVE else 'disabled'}")


def _show(credentials: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(credentials)
    else:
        print_fields(credentials)
        note("the secret is not shown again")


def _listed(key: AccessKey) -> dict[str, object]:
    return {
        "AccessKeyId": key.id,
        "Account": key.account,
        "Of": key.who,
        "Status": key.status,
        "CreationTime": key.created,
        "Expiration": key.expires,
    }


def _end(key: AccessKey) -> str:
    return "" if key.expires is None else times.write(key.expires)
