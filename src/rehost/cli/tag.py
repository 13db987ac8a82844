"""`rehost tag`: tags of source servers, replication jobs and workgroups."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import typer

from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.options import ProfileFile, Tags, tag_parameters
from rehost.cli.output import Json, errors_shown, note, print_json, print_table
from rehost.core.errors import InvalidValueError
from rehost.core.ids import Kind

TYPES: dict[str, str] = {
    Kind.SOURCE: "sourceserver",
    Kind.JOB: "replicationjob",
    Kind.WORKGROUP: "workgroup",
}

app = typer.Typer(no_args_is_help=True, help="Tags: by which source servers, jobs and workgroups are found.")
Resources = Annotated[
    list[str], typer.Argument(metavar="RESOURCE...", help="Ids of source servers, jobs or workgroups.")
]


@app.command()
def add(resources: Resources, tag: Tags, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Give resources tags; a key that is there gets the new value."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        for of_kind in _by_type(resources):
            client.call("TagResources", {**of_kind, **tag_parameters(tag)})
    _done(resources, "tagged", as_json)


@app.command("list")
def list_tags(
    resources: Annotated[
        list[str] | None, typer.Argument(metavar="[RESOURCE...]", help="Of these ids only.")
    ] = None,
    tag: Tags = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """List tags with their resources."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        asked = (
            list(_by_type(resources)) if resources else [{"ResourceType": name} for name in TYPES.values()]
        )
        found = [row for of_kind in asked for row in _rows(client, {**of_kind, **tag_parameters(tag)})]
    if as_json:
        print_json(found)
        return
    print_table(
        ("resource", "key", "value"), ((row["ResourceId"], row["TagKey"], row["TagValue"]) for row in found)
    )


@app.command()
def remove(
    resources: Resources,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="A tag's key; repeatable.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All tags.")] = False,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Take tags from resources."""
    with errors_shown(as_json):
        if bool(key) == everything:
            raise InvalidValueError("neither or both of --key and --all are given", "give one of them")
        keys = {f"TagKey.{number}": name for number, name in enumerate(key or (), 1)}
        client = Client(load_profile(profile_file))
        for of_kind in _by_type(resources):
            client.call("UntagResources", {**of_kind, **(keys or {"All": True})})
    _done(resources, "untagged", as_json)


def _by_type(resources: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Parameters of one call for each type: an id's prefix tells it."""
    groups: dict[str, list[str]] = {}
    for resource in resources:
        kind = TYPES.get(resource.partition("-")[0])
        if kind is None:
            raise InvalidValueError(f"{resource} cannot have tags", "ids that can begin with s-, j- or w-")
        groups.setdefault(kind, []).append(resource)
    for kind, ids in groups.items():
        yield {
            "ResourceType": kind,
            **{f"ResourceId.{number}": resource for number, resource in enumerate(ids, 1)},
        }


def _rows(client: Client, parameters: Mapping[str, str]) -> Iterator[Reply]:
    token = ""
    while True:
        reply = client.call("ListTagResources", {**parameters, "NextToken": token})
        yield from reply["TagResources"]["TagResource"]
        token = reply["NextToken"]
        if not token:
            return


def _done(resources: list[str], what: str, as_json: bool) -> None:
    if as_json:
        print_json({"ResourceIds": resources})
    else:
        note(f"{', '.join(resources)}: {what}")
