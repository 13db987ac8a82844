"""`rehost code`: activation codes, with which source servers register."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rehost.agent.control import host_and_port
from rehost.api import times
from rehost.cli import datafolder
from rehost.cli.keyring import Keyring
from rehost.cli.options import ACCOUNT, DATA, Account, Data
from rehost.cli.output import Json, errors_shown, note, print_json, print_table
from rehost.cli.serve import ANNOUNCEMENT
from rehost.core.errors import InvalidValueError

app = typer.Typer(no_args_is_help=True, help="Activation codes: leave for servers to register.")


@app.command()
def create(
    data: Data = DATA,
    account: Account = ACCOUNT,
    name: Annotated[str, typer.Option(help="What the code is for.")] = "",
    count: Annotated[int, typer.Option(min=1, help="How many servers may register with it.")] = 1,
    days: Annotated[float, typer.Option(min=0.001, help="How long it is good for.")] = 30,
    endpoint: Annotated[
        str,
        typer.Option(
            help="https://HOST:PORT where source servers reach the control plane; without it what the running"
            " `rehost serve` says of itself (see its --address)."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a code, and print the line that installs the agent: run it on the source server as root."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        place = endpoint or _announced(data)
        host_and_port(place)  # refuses what is no endpoint before a code is made for it
        record, code = store.codes.create(store.accounts.find(account).id, name, count, days)
        line = install_line(place, Keyring(data / "keys").pin(), code)
    if as_json:
        print_json({"id": record.id, "code": code, "endpoint": place, "install": line})
        return
    note(f"good for {count} server(s) until {times.write(record.expires)}; on the source server, as root:")
    print(line)  # not through a console: the line is copied, so nothing may wrap or colour it


@app.command("list")
def list_codes(data: Data = DATA, as_json: Json = False) -> None:
    """List the activation codes; the codes themselves are not kept."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        codes = store.codes.all()
    if as_json:
        print_json(codes)
        return
    rows = (
        (code.id, code.name, code.status, f"{code.used} of {code.count}", times.write(code.expires))
        for code in codes
    )
    print_table(("id", "name", "status", "used", "expires"), rows)


def install_line(endpoint: str, pin: str, code: str) -> str:
    """The pin stands for the certificate authority that the source does not know yet: -k alone would trust
    whoever answers."""
    return f"curl -fsSk --pinnedpubkey '{pin}' {endpoint}/agent/install.sh | sh -s -- {code}"


def _announced(data: Path) -> str:
    try:
        return str(json.loads((data / ANNOUNCEMENT).read_text())["endpoint"])
    except FileNotFoundError:
        raise InvalidValueError(
            f"`rehost serve` does not run on {data}, so its address is not known",
            "start it, or say where it will be with --endpoint https://HOST:PORT",
        ) from None
