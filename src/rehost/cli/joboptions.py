"""What can be asked of a job, when it is created and later."""

from typing import Annotated

import typer

from rehost.cli.options import limits

Name = Annotated[str, typer.Option(help="The job's name.")]
ImageName = Annotated[str, typer.Option(help="The image's name.")]
Description = Annotated[str, typer.Option(help="What the job is for.")]
SystemDiskSize = Annotated[
    int | None,
    typer.Option(
        help="GiB of the image's system disk.",
        show_default="as the source's",
        **limits("CreateReplicationJob", "SystemDiskSize"),
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        metavar="HOURS",
        help="Run again so long after each run's end.",
        **limits("CreateReplicationJob", "Frequency"),
    ),
]
Keep = Annotated[
    int | None,
    typer.Option(
        help="With --every: the newest images that are kept; else 3.",
        **limits("CreateReplicationJob", "MaxNumberOfImageToKeep"),
    ),
]
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
At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Start it by itself then: UTC, 2030-01-31T22:00:00Z, within 30 days; never: no."
    ),
]
ValidUntil = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="It expires then, and is deleted 7 days later: UTC, 7 to 90 days from its creation (else 30);"
        " never: it does not.",
    ),
]
