"""`rehost worker`: a host that has volumes and does the work on them, and what hosts there are."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from rehost.cli import datafolder
from rehost.cli import receive as data_plane
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, note, print_json, print_table
from rehost.cli.processes import (
    Address,
    Database,
    HelperCache,
    HostName,
    ReceiveListen,
    ResyncAfter,
    Volumes,
)
from rehost.cli.serve import ServeConfig
from rehost.core.errors import InvalidTransitionError, NoHostError
from rehost.core.job import JobState
from rehost.store.hosts import Host
from rehost.store.store import Store
from rehost.store.transition import Job

app = typer.Typer(help="Hosts that share a database: run one, list them, take one out.")

Name = Annotated[str, typer.Argument(metavar="HOST", help="Its name or id.")]
ACTOR = "rehost worker"


@app.callback(invoke_without_command=True)
def work(
    context: typer.Context,
    data: Data = DATA,
    receive_listen: ReceiveListen = data_plane.DEFAULT_LISTEN,
    address: Address = None,
    database: Database = "",
    volumes: Volumes = None,
    name: HostName = "",
    helper_cache: HelperCache = None,
    resync_after: ResyncAfter = 0,
    as_json: Json = False,
) -> None:
    """Without a command: do the work of a control plane's jobs on this host, without an API."""
    if context.invoked_subcommand is not None:
        return
    from rehost.cli import wiring, working  # the other commands need not wait for all that

    def ready(started: working.Working) -> None:
        if as_json:
            print_json(started)
        else:
            note(f"{started.name} works, data folder {data}, data plane at port {started.receiver_port}")

    config = ServeConfig(
        data, "", receive_listen, tuple(address or ()), database, volumes, name, helper_cache, resync_after
    )
    with errors_shown(as_json):
        working.run(config, ready, wiring.local_machinery)


@app.command("list")
def list_all(data: Data = DATA, as_json: Json = False) -> None:
    """List the hosts of this data folder's database."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        found = [_shown(host) for host in store.hosts.all()]
    if as_json:
        print_json(found)
        return
    columns = ("id", "name", "kind", "state", "jobs>", "GiB free>", "address", "version", "storage")
    print_table(columns, (tuple(host.values()) for host in found))


@app.command()
def jobs(name: Name, data: Data = DATA, as_json: Json = False) -> None:
    """List the jobs whose volumes a host has."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        found = store.jobs.in_states(*JobState, hosts=[store.hosts.get(name).id])
    if as_json:
        told = ({"JobId": job.id, "SourceId": job.spec.source_id, "State": job.state.text} for job in found)
        print_json(list(told))
        return
    columns = ("id", "name", "source", "status")
    print_table(columns, ((job.id, job.spec.name, job.spec.source_id, job.state.text) for job in found))


@app.command()
def drain(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let it take jobs again.")] = False,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Let a host take no new jobs. Those that it runs go on; where its storage is shared, the next runs of
    its jobs are other hosts'."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        host = store.hosts.drain(name, not undo)
    if as_json:
        print_json(_shown(host))
    elif undo:
        note(f"{host.name} takes jobs")
    else:
        note(f"{host.name} takes no new jobs; it runs {host.running}")


@app.command()
def resync(
    name: Name,
    job: Annotated[list[str] | None, typer.Option(help="Only this job; repeat it for more.")] = None,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Let jobs of a host that is away be copied anew, to others; it need not be lost for ever."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        found = [_resynced(store, each) for each in store.takeovers.left_at(name, job or ())]
    if as_json:
        print_json(found)
    else:
        print_table(("job", "what happens"), (tuple(each.values()) for each in found))


def _resynced(store: Store, job: Job) -> dict[str, str]:
    try:
        run = store.takeovers.resync(job, ACTOR)
    except (InvalidTransitionError, NoHostError) as error:
        return {"JobId": job.id, "What": f"stays: {error.what}"}
    what = "its next run copies anew" if run is None else f"begins anew at {run.host}"
    return {"JobId": job.id, "What": what}


@app.command()
def forget(name: Name, data: Data = DATA, as_json: Json = False) -> None:
    """Give a host up that will never come back: its jobs begin anew at others when they are started."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        left = store.takeovers.forget(name, ACTOR)
    if as_json:
        print_json([{"JobId": job.id} for job in left])
    else:
        note(f"{name} is forgotten; {len(left)} jobs were its own")


def _shown(host: Host) -> dict[str, Any]:
    presence = host.presence
    return {
        "Id": host.id,
        "Name": host.name,
        "Kind": presence.kind,
        "State": _state(host),
        "Jobs": host.running,
        "FreeGiB": presence.free >> 30,
        "Address": f"{presence.receiver_host}:{presence.receiver_port}",
        "Version": presence.version,
        "Storage": presence.volumes,
    }


def _state(host: Host) -> str:
    if not host.alive and host.lease:
        return f"away since {datetime.fromtimestamp(host.lease, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if not host.alive:
        return "stopped"
    return "draining" if host.draining else "working"
