"""`rehost job`: replication jobs, by the signed API."""

import time
from typing import Annotated

import typer
from rich.live import Live

from rehost.cli import jobview
from rehost.cli.client import Client, Reply, load_profile
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

app = typer.Typer(no_args_is_help=True, help="Replication jobs: the migrations themselves.")
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A replication job's id, j-….")]
SystemDiskSize = Annotated[
    int | None, typer.Option(help="GiB of the image's system disk.", show_default="as the source's")
]
Every = Annotated[
    int | None,
    typer.Option(min=1, max=168, metavar="HOURS", help="Run again so long after each run's end."),
]
Keep = Annotated[int, typer.Option(min=1, max=10, help="With --every: the newest images that are kept.")]
Parameters = Annotated[
    str,
    typer.Option(
        help='How to copy and check, as JSON: {"bandwidth_limit": KB/s, "bandwidth_schedule": [{"from":'
        ' "08:00", "to": "18:00", "limit": KB/s}], "compress_level": 0 to 10, "checksum": true,'
        ' "streams": 2, "freeze_target": seconds, "freeze_deadline": seconds, "most_rounds": 10,'
        ' "not_converging": "freeze" or "fail", "unreadable": "fail" or "zero",'
        ' "boot_check_command": "…"}. docs/cli.md explains each.'
    ),
]


@app.command()
def create(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source server's id, s-….")],
    name: Annotated[str, typer.Option(help="The job's name.")] = "",
    image_name: Annotated[str, typer.Option(help="The image's name.")] = "",
    description: Annotated[str, typer.Option(help="What the job is for.")] = "",
    region: Annotated[str, typer.Option(help="The region that the image belongs to.")] = "local",
    system_disk_size: SystemDiskSize = None,
    every: Every = None,
    keep: Keep = 3,
    parameters: Parameters = "",
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
        **({} if every is None else {"RunOnce": "false", "Frequency": every, "MaxNumberOfImageToKeep": keep}),
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
    if as_json:
        print_json({"JobId": job})
    else:
        note(f"{job} is started; rehost job watch {job} shows how it goes")


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
                f"{job.get('Progress') or 0:.0f} %",
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
            "progress": f"{found.get('Progress') or 0:.0f} %",
            **({"now": jobview.doing(found)} if jobview.doing(found) else {}),
            "created": found.get("CreationTime"),
            "started": found.get("StartTime"),
            "ended": found.get("EndTime"),
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
    if as_json:
        print_json({"JobId": job})
    else:
        note(f"{job} is deleted")


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
    if found["Status"] == "Ready":
        note(f"{job} is not started: rehost job start {job}")
    with Live(console=stderr(), auto_refresh=False, transient=True) as picture:
        while found["Status"] not in jobview.ENDED:
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
