"""`rehost workgroup`: source servers that are migrated together."""

from typing import Annotated

import typer

from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.options import ProfileFile, Tags, tag_parameters, tags_text
from rehost.cli.output import Json, errors_shown, note, print_fields, print_json, print_table
from rehost.core.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="Workgroups: source servers that are migrated together.")
Group = Annotated[str, typer.Argument(metavar="WORKGROUP", help="A workgroup's id, w-….")]
Sources = Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Ids of source servers, s-….")]
Description = Annotated[str | None, typer.Option(help="What it is for.", show_default=False)]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    description: Description = None,
    tag: Tags = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Make a workgroup."""
    wishes = {"Name": name, "Description": description, **tag_parameters(tag)}
    with errors_shown(as_json):
        group = Client(load_profile(profile_file)).call("CreateWorkgroup", wishes)["WorkgroupId"]
    if as_json:
        print_json({"WorkgroupId": group})
        return
    print(group)
    note(f"next: rehost workgroup add {group} SOURCE...")


@app.command("list")
def list_groups(tag: Tags = None, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List the workgroups."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        groups = list(client.each("DescribeWorkgroups", "Workgroups", tag_parameters(tag)))
    if as_json:
        print_json(groups)
        return
    print_table(
        ("id", "name", "status", "to look at", "description"),
        (
            (group["WorkgroupId"], group["Name"], group["Status"], _concerns(group), group["Description"])
            for group in groups
        ),
    )


@app.command()
def show(group: Group, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Show a workgroup and its source servers."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        found = client.call("DescribeWorkgroups", {"WorkgroupId.1": group})["Workgroups"]["Workgroup"]
        if not found:
            raise NotFoundError(f"there is no workgroup {group}", "rehost workgroup list shows all")
        members = list(client.each("DescribeSourceServers", "SourceServers", {"WorkgroupId": group}))
    if as_json:
        print_json({**found[0], "SourceServers": members})
        return
    print_fields(
        {
            "id": group,
            "name": found[0]["Name"],
            "status": found[0]["Status"],
            "to look at": _concerns(found[0]),
            "description": found[0]["Description"],
            "tags": tags_text(found[0]),
        }
    )
    print_table(
        ("source", "name", "state", "job"),
        ((server["SourceId"], server["Name"], server["State"], server.get("JobId")) for server in members),
    )


@app.command()
def rename(
    group: Group,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    description: Description = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Give a workgroup another name, and with --description another description."""
    wishes = {"WorkgroupId": group, "Name": name, "Description": description}
    _call("ModifyWorkgroupAttribute", wishes, f"{group} is named {name}", profile_file, as_json)


@app.command()
def add(group: Group, sources: Sources, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Put source servers into a workgroup; each is in one at most."""
    text = f"{', '.join(sources)}: in {group}"
    _call("AssociateSourceServers", _members(group, sources), text, profile_file, as_json)


@app.command()
def remove(group: Group, sources: Sources, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Take source servers out of a workgroup."""
    text = f"{', '.join(sources)}: not in {group} any more"
    _call("DisassociateSourceServers", _members(group, sources), text, profile_file, as_json)


@app.command()
def delete(group: Group, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Delete a workgroup that no source server is in."""
    _call("DeleteWorkgroup", {"WorkgroupId": group}, f"{group} is deleted", profile_file, as_json)


def _call(
    action: str, wishes: dict[str, str | None], done: str, profile_file: ProfileFile, as_json: bool
) -> None:
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call(action, wishes)
    if as_json:
        print_json({"WorkgroupId": wishes["WorkgroupId"]})
    else:
        note(done)


def _members(group: str, sources: list[str]) -> dict[str, str | None]:
    return {"WorkgroupId": group, **{f"SourceId.{n}": source for n, source in enumerate(sources, 1)}}


def _concerns(group: Reply) -> str:
    warnings = group["Warnings"]["Warning"]
    return ", ".join(f"{w['WarningType']}: {len(w['SourceIds']['SourceId'])}" for w in warnings)
