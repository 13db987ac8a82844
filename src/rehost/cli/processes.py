"""The long-running commands: `rehost serve`, and the data plane that it starts."""

from pathlib import Path
from typing import Annotated

import typer

from rehost.cli import receive as data_plane
from rehost.cli import serve as control_plane
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_json

ReceiveListen = Annotated[str, typer.Option(help="HOST:PORT of the data plane; port 0: any.")]
Address = Annotated[
    list[str] | None,
    typer.Option(
        help="A name or address that others reach this host by; repeat it for more.", show_default=False
    ),
]
Database = Annotated[
    str,
    typer.Option(
        envvar="REHOST_DATABASE",
        help="postgresql://USER@HOST/DATABASE for the records; the data folder remembers it. A password"
        " is best kept in ~/.pgpass.",
        show_default="SQLite in the data folder",
    ),
]
Volumes = Annotated[
    Path | None,
    typer.Option(
        help="Where replicas and images lie: storage that several hosts have mounted. The data folder"
        " remembers it.",
        show_default="the data folder",
    ),
]
HostName = Annotated[
    str, typer.Option(help="This host's name among those of its database.", show_default="the hostname")
]
HelperCache = Annotated[
    Path | None,
    typer.Option(help="Where the helper VM is kept.", show_default="cache/ in the data folder"),
]
ResyncAfter = Annotated[
    int,
    typer.Option(
        min=0,
        help="Minutes after which the runs of a host that is away begin anew, if no other one has its"
        " volumes; 0: when it is asked for (rehost worker resync).",
    ),
]


def serve(
    data: Data = DATA,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT of the API; port 0: any.")
    ] = control_plane.DEFAULT_LISTEN,
    receive_listen: ReceiveListen = data_plane.DEFAULT_LISTEN,
    address: Address = None,
    database: Database = "",
    volumes: Volumes = None,
    name: HostName = "",
    helper_cache: HelperCache = None,
    resync_after: ResyncAfter = 0,
    as_json: Json = False,
) -> None:
    """Run the control plane: the API, the agents' door, the data plane, and all work on images."""

    def ready(serving: control_plane.Serving) -> None:
        if as_json:
            print_json(serving)
            return
        note(f"rehost serves at {serving.endpoint}, data folder {data}")
        if serving.first_key_file:
            note(f"an access key is in {serving.first_key_file}")
        note("next: rehost code create" + ("" if data == DATA else f" --data {data}"))

    config = control_plane.ServeConfig(
        data,
        listen,
        receive_listen,
        tuple(address or ()),
        database,
        volumes,
        name,
        helper_cache,
        resync_after,
    )
    with errors_shown(as_json):
        control_plane.serve(config, ready)


def receive(
    data: Data = DATA,
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0: any.")] = data_plane.DEFAULT_LISTEN,
) -> None:
    """Run the data plane alone; `rehost serve` does so by itself."""
    with errors_shown():
        data_plane.receive(data, listen)
