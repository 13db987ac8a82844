"""`rehost job`: replication jobs, by the signed API."""

import time
from typing import Annotated

import typer
from rich.live import Live

from rehost.cli import jobview
from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.joboptions import (
    At,
    Description,
    Every,
    ImageName,
    Keep,
    Name,
    Parameters,
    SystemDiskSize,
    ValidUntil,
)
from rehost.cli.options import ProfileFile
from rehost.cli.output import (
    Exit,
    Json,
    errors_shown,
    note,
    print_fields,
    print_json,
    print_table,
    stderr,
)
from rehost.core.errors import NotFoundError

LOOK = 1.0  # seconds between looks at a job that is watched
KEEP = 3  # images of a job that runs again and again, if nothing else is asked for

app = typer.Typer(no_args_is_help=True, help="Replication jobs: the migrations themselves.")
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A replication job's id, j-….")]


@app.command()
def create(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source server's id, s-….")],
    name: Name = "",
    image_name: ImageName = "",
    description: Description = "",
    region: Annotated[str, typer.Option(help="The region that the image belongs to.")] = "local",
    system_disk_size: SystemDiskSize = None,
    every: Every = None,
    keep: Keep = None,
    parameters: Parameters = "",
    at: At = None,
    valid_until: ValidUntil = None,
    start_now: Annotated[bool, typer.Option("--start", help="Start it as well.")] = False,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Create a replication job for a source server."""
    wishes = {
        "SourceId": source,
        "RegionId": region,
        "Name": name or None,
        "ImageName": image_name or None,
        "Description": description or None,
        "SystemDiskSize": system_disk_size,
        "ReplicationParameters": parameters or None,
        "ScheduledStartTime": _time(at),
        "ValidTime": _time(valid_until),
        **({"RunOnce": False, "Frequency": every, "MaxNumberOfImageToKeep": keep or KEEP} if every else {}),
    }
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        job = client.call("CreateReplicationJob", wishes)["JobId"]
        if start_now:
            client.call("StartReplicationJob", {"JobId": job})
    if as_json:
        print_json({"JobId": job})
        return
    print(job)
    note(f"next: rehost job {'watch' if start_now else 'start --watch'} {job}")


@app.command()
def modify(
    job: JobId,
    name: Name = "",
    image_name: ImageName = "",
    description: Description = "",
    system_disk_size: SystemDiskSize = None,
    every: Every = None,
    keep: Keep = None,
    parameters: Parameters = "",
    at: At = None,
    valid_until: ValidUntil = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Change a job; what is not given stays.

    Name and description at any time; --every and --keep before it starts or while it waits; --valid-until
    until it is over; everything else before it starts.
    """
    changes = {
        "Name": name or None,
        "ImageName": image_name or None,
        "Description": description or None,
        "SystemDiskSize": system_disk_size,
        "Frequency": every,
        "MaxNumberOfImageToKeep": keep,
        "ReplicationParameters": parameters or None,
        "ScheduledStartTime": _time(at),
        "ValidTime": _time(valid_until),
    }
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call("ModifyReplicationJobAttribute", {"JobId": job, **changes})
    _said(as_json, job, f"{job} is changed; rehost job show {job} shows it")


def _time(given: str | None) -> str | None:
    """As the API has it: empty for never."""
    return "" if given == "never" else given


@app.command()
def start(
    job: JobId,
    and_watch: Annotated[bool, typer.Option("--watch", help="Stay, and show how it goes.")] = False,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Start a job, or start a failed one again: what is durable already is not sent again."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        client.call("StartReplicationJob", {"JobId": job})
        if and_watch:
            _end(_watch(client, job, as_json), as_json)
        waits = jobview.waits_for_room(find(client, job))
    what = "waits for room" if waits else "is started"
    _said(as_json, job, f"{job} {what}; rehost job watch {job} shows how it goes")


@app.command()
def stop(job: JobId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Pause a job that copies. What has arrived stays: a start goes on from there.

    It is possible while the job is Running/Syncing. To be rid of it then: rehost job delete.
    """
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call("StopReplicationJob", {"JobId": job})
    _said(as_json, job, f"{job} is stopped; rehost job start {job} goes on")


@app.command()
def cutover(
    job: JobId,
    sync: Annotated[bool, typer.Option("--sync", help="Copy once more before, what changed since.")] = False,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Finish a job that runs again and again (--every): it makes no more images.

    It is possible while the job is Waiting. For the last move to the new server: stop the services on the
    source, `rehost job cutover --sync JOB`, and start the new server from the image of that run.
    """
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        client.call("CutOverReplicationJob", {"JobId": job, "SyncData": sync})
    what = "runs a last time and then is finished" if sync else "is being finished"
    _said(as_json, job, f"{job} {what}; rehost job watch {job} shows how it goes")


@app.command()
def events(job: JobId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List what happened to a job: its states, who asked for them, why, and for how long it was in them."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        happened = list(client.each("DescribeReplicationJobEvents", "Events", {"JobId": job}))
    if as_json:
        print_json(happened)
        return
    print_table(("time", "event", "state", "for>", "by", "why"), map(jobview.event, happened))


@app.command("list")
def list_jobs(profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List the replication jobs."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        jobs = list(client.each("DescribeReplicationJobs", "ReplicationJobs", {}))
    if as_json:
        print_json(jobs)
        return
    print_table(
        ("id", "name", "source", "status", "progress>", "image"),
        (
            (
                job["JobId"],
                job.get("Name"),
                job["SourceId"],
                jobview.state(job),
                jobview.percent(job),
                job.get("ImageId"),
            )
            for job in jobs
        ),
    )


@app.command()
def show(job: JobId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Show a job, where it is, and what went wrong."""
    with errors_shown(as_json):
        found = find(Client(load_profile(profile_file)), job)
    if as_json:
        print_json(found)
        return
    print_fields(
        {
            "id": found["JobId"],
            "name": found.get("Name"),
            "source": found["SourceId"],
            "status": jobview.state(found),
            "progress": jobview.percent(found),
            **({"now": jobview.doing(found)} if jobview.doing(found) else {}),
            **jobview.disks(found),
            "created": found.get("CreationTime"),
            "started": found.get("StartTime"),
            "ended": found.get("EndTime"),
            **jobview.times(found),
            "image": jobview.image(found),
            **jobview.roots(found),
            "runs": jobview.runs(found),
            **({"runs again": jobview.periodic(found)} if jobview.periodic(found) else {}),
            **jobview.copied(found),
            **({"error": jobview.failure(found)} if jobview.failure(found) else {}),
        }
    )


@app.command()
def watch(job: JobId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Show how a job goes until it ends; exit code 4 when it fails."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        _end(_watch(client, job, as_json), as_json)


@app.command()
def delete(job: JobId, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Delete a job that does not run. Its images stay."""
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call("DeleteReplicationJob", {"JobId": job})
    _said(as_json, job, f"{job} is deleted")


def _said(as_json: bool, job: str, what: str) -> None:
    if as_json:
        print_json({"JobId": job})
    else:
        note(what)


def find(client: Client, job: str) -> Reply:
    """NotFoundError when there is none of this id."""
    jobs: list[Reply] = client.call("DescribeReplicationJobs", {"JobId.1": job})["ReplicationJobs"][
        "ReplicationJob"
    ]
    if not jobs:
        raise NotFoundError(f"there is no replication job {job}", "rehost job list shows all")
    return jobs[0]


def _watch(client: Client, job: str, quiet: bool) -> Reply:
    """The job as it was when it ended."""
    found = find(client, job)
    if found["Status"] == "Ready" and not jobview.waits_for_room(found):
        note(f"{job} is not started: rehost job start {job}")
    with Live(console=stderr(), auto_refresh=False, transient=True) as picture:
        while not jobview.is_over(found):
            if not quiet:
                picture.update(jobview.live(found), refresh=True)
            time.sleep(LOOK)
            found = find(client, job)
    return found


def _end(job: Reply, as_json: bool) -> None:
    """Say how a watched job ended, and leave with the exit code that says it, too."""
    if as_json:
        print_json(job)
    elif why := jobview.failure(job):
        note(f"{job['JobId']} failed\n{why}")
    else:
        print_fields({"job": job["JobId"], "status": jobview.state(job), "image": job.get("ImageId")})
    raise typer.Exit(Exit.JOB_FAILED if job["Status"] == "InError" else Exit.OK)
