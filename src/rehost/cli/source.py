"""`rehost source`: the servers whose agents have registered."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.options import ProfileFile, Tags, tag_parameters, tags_text
from rehost.cli.output import Json, errors_shown, note, print_fields, print_json, print_table
from rehost.core.errors import NotFoundError
from rehost.core.server import KernelLevel
from rehost.core.units import bytes_text

app = typer.Typer(no_args_is_help=True, help="Source servers: what can be migrated.")
SourceId = Annotated[str, typer.Argument(metavar="SOURCE", help="A source server's id, s-….")]


@app.command("list")
def list_servers(
    state: Annotated[
        str, typer.Option(help="Unavailable, Available, InUse or Deleting.", show_default=False)
    ] = "",
    workgroup: Annotated[
        str, typer.Option(metavar="WORKGROUP", help="Those in a workgroup, w-….", show_default=False)
    ] = "",
    tag: Tags = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """List the source servers."""
    wanted = {"State": state, "WorkgroupId": workgroup, **tag_parameters(tag)}
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        servers = list(client.each("DescribeSourceServers", "SourceServers", wanted))
    if as_json:
        print_json(servers)
        return
    print_table(
        ("id", "name", "state", "platform", "system disk>", "data disks>", "job"),
        (
            (
                server["SourceId"],
                server["Name"],
                server["State"],
                server["Platform"],
                f"{server['SystemDiskSize']} GiB",
                len(server["DataDisks"]["DataDisk"]),
                server.get("JobId"),
            )
            for server in servers
        ),
    )


@app.command()
def show(source: SourceId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Show a source server, its disks and partitions."""
    with errors_shown(as_json):
        server = find(Client(load_profile(profile_file)), source)
    if as_json:
        print_json(server)
        return
    print_fields(
        {
            "id": server["SourceId"],
            "name": server["Name"],
            **{name: text for name, text in _said(server).items() if text},
            "state": server["State"],
            "platform": f"{server['Platform']} on {server['Architecture']}",
            "agent": server["AgentVersion"],
            "registered": server["CreationTime"],
            "job": server.get("JobId"),
            "copy": _copy(server),
            **_trouble(server),
        }
    )
    print_table(("device", "mounted at", "size>"), _partitions(server))


@app.command()
def rename(
    source: SourceId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    description: Annotated[
        str | None, typer.Option(help="What to say of it; empty: nothing.", show_default=False)
    ] = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Give a source server another name, and with --description another description."""
    wishes = {"SourceId": source, "Name": name, "Description": description}
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call("ModifySourceServerAttribute", wishes)
    if as_json:
        print_json({"SourceId": source})
    else:
        note(f"{source} is named {name}")


@app.command()
def delete(
    source: SourceId,
    force: Annotated[bool, typer.Option(help="Delete its replication jobs, too.")] = False,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Forget a source server; its agent has to register again. Images stay."""
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call("DeleteSourceServer", {"SourceId": source, "Force": force})
    if as_json:
        print_json({"SourceId": source})
    else:
        note(f"{source} is deleted")


def find(client: Client, source: str) -> Reply:
    """NotFoundError when there is none of this id."""
    reply = client.call("DescribeSourceServers", {"SourceId.1": source})
    servers: list[Reply] = reply["SourceServers"]["SourceServer"]
    if not servers:
        raise NotFoundError(f"there is no source server {source}", "rehost source list shows all")
    return servers[0]


def _said(server: Reply) -> dict[str, str]:
    return {
        "description": server["Description"],
        "tags": tags_text(server),
        "workgroup": server["WorkgroupId"],
    }


def _copy(server: Reply) -> str:
    if why := _status(server).get("untracked"):
        return f"compares all used blocks, as writes cannot be tracked: {why}"
    return "tracks writes" if server["KernelLevel"] == KernelLevel.TRACKING else "compares all used blocks"


def _trouble(server: Reply) -> dict[str, object]:
    said: dict[str, object] = {}
    if server.get("ErrorCode"):
        said = {"error": server["ErrorCode"], "": _status(server).get("error_msg")}
    clone = _status(server).get("clone")
    return said | ({"clone": clone} if clone else {})


def _status(server: Reply) -> dict[str, str]:
    info: dict[str, str] = json.loads(server.get("StatusInfo") or "{}")
    return info


def _partitions(server: Reply) -> Iterator[tuple[Any, ...]]:
    disks = [server["SystemDiskParts"]["SystemDiskPart"]]
    disks += [disk["Parts"]["Part"] for disk in server["DataDisks"]["DataDisk"]]
    for part in (part for parts in disks for part in parts):
        yield part["Device"], part.get("Path"), bytes_text(part["SizeBytes"])
