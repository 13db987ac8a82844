"""`rehost code`: activation codes, with which source servers register. The API calls them access tokens."""

from pathlib import Path
from typing import Annotated

import typer

from rehost.agent.control import host_and_port
from rehost.api import times
from rehost.cli import firstkey
from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.options import ProfileFile, limits
from rehost.cli.output import Json, errors_shown, note, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Activation codes: leave for servers to register.")
CodeId = Annotated[str, typer.Argument(metavar="CODE", help="An activation code's id, at-….")]
FirstKey = Annotated[
    Path | None,
    typer.Option("--data", help="The control plane's data folder, on this host: its first access key asks."),
]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the code is for.")] = "",
    count: Annotated[
        int,
        typer.Option(help="How many servers may register with it.", **limits("CreateAccessToken", "Count")),
    ] = 1,
    days: Annotated[
        int, typer.Option(help="How long it is good for.", **limits("CreateAccessToken", "TimeToLiveInDays"))
    ] = 30,
    endpoint: Annotated[
        str,
        typer.Option(
            help="https://HOST:PORT where source servers reach the control plane; without it where this"
            " command reaches it."
        ),
    ] = "",
    data: FirstKey = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Make a code, and print the line that installs the agent: run it on the source server as root."""
    with errors_shown(as_json):
        profile = load_profile(_profile_file(data, profile_file))
        place = endpoint or profile.endpoint
        host_and_port(place)  # refuses what is no endpoint before a code is made for it
        client = Client(profile)
        pin = client.pin()
        wishes = {"Name": name or None, "Count": count, "TimeToLiveInDays": days}
        made = client.call("CreateAccessToken", wishes)
    line = install_line(place, pin, made["AccessTokenCode"])
    if as_json:
        print_json(
            {
                "id": made["AccessTokenId"],
                "code": made["AccessTokenCode"],
                "endpoint": place,
                "install": line,
            }
        )
        return
    note(f"good for {count} server(s), {days} day(s) from now; on the source server, as root:")
    print(line)  # not through a console: the line is copied, so nothing may wrap or colour it


@app.command("list")
def list_codes(data: FirstKey = None, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List the activation codes; the codes themselves are not kept."""
    with errors_shown(as_json):
        reply = _client(data, profile_file).call("ListAccessTokens")
    codes = reply["AccessTokens"]["AccessToken"]
    if as_json:
        print_json(codes)
        return
    print_table(
        ("id", "name", "status", "used", "expires"),
        (
            (
                code["AccessTokenId"],
                code["Name"],
                code["Status"],
                f"{code['RegisteredCount']} of {code['Count']}",
                _expires(code),
            )
            for code in codes
        ),
    )


@app.command()
def disable(
    code: CodeId, data: FirstKey = None, profile_file: ProfileFile = None, as_json: Json = False
) -> None:
    """Let no server register with a code any more; those that have registered stay."""
    _change("DisableAccessToken", code, data, profile_file, as_json)


@app.command()
def delete(
    code: CodeId, data: FirstKey = None, profile_file: ProfileFile = None, as_json: Json = False
) -> None:
    """Delete a code; servers that have registered with it stay."""
    _change("DeleteAccessToken", code, data, profile_file, as_json)


def install_line(endpoint: str, pin: str, code: str) -> str:
    """The pin stands for the certificate authority that the source does not know yet: -k alone would trust
    whoever answers."""
    return f"curl -fsSk --pinnedpubkey '{pin}' {endpoint}/agent/install.sh | sh -s -- {code}"


def _change(action: str, code: str, data: Path | None, profile_file: Path | None, as_json: bool) -> None:
    with errors_shown(as_json):
        _client(data, profile_file).call(action, {"AccessTokenId": code})
    if as_json:
        print_json({"AccessTokenId": code})
    else:
        note(f"{code} is {'disabled' if action.startswith('Disable') else 'deleted'}")


def _client(data: Path | None, profile_file: Path | None) -> Client:
    return Client(load_profile(_profile_file(data, profile_file)))


def _profile_file(data: Path | None, profile_file: Path | None) -> Path | None:
    return profile_file if data is None else data / firstkey.FILE


def _expires(code: Reply) -> str:
    return times.write(times.parse(code["CreationTime"]) + float(code["TimeToLiveInDays"]) * times.DAY)
