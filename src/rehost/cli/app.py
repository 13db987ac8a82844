"""All commands of `rehost` in one tree."""

from typing import Annotated

import typer

from rehost import __version__
from rehost.cli import (
    account,
    audit,
    code,
    image,
    job,
    key,
    policy,
    principal,
    source,
    tag,
    webhook,
    worker,
    workgroup,
)
from rehost.cli.api import SETTINGS, api
from rehost.cli.backup import backup, restore
from rehost.cli.processes import receive, serve
from rehost.cli.verify import verify

EPILOG = """\
[bold]A first migration[/bold]

1. on a host with room for the disks:  [cyan]rehost serve --address THIS-HOST[/cyan]

2. there, in another terminal:  [cyan]rehost code create[/cyan]  prints one line

3. on the server to be moved, as root: that line. It appears in  [cyan]rehost source list[/cyan]

4. [cyan]rehost job create SOURCE --start[/cyan], then  [cyan]rehost job watch JOB[/cyan]

5. [cyan]rehost image list[/cyan],  [cyan]rehost image boot IMAGE[/cyan]

Every command has --help. Exit codes: 0 done, 1 error, 2 wrong usage, 3 not found, 4 the job failed,
5 verified, and different.
"""

app = typer.Typer(
    name="rehost",
    help="Moves a running server, whole, to another place: its disks are copied while it works, and become an"
    " image that boots.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rehost {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The tree's root."""


app.command()(serve)
app.command()(verify)
app.command()(backup)
app.command()(restore)
app.add_typer(worker.app, name="worker")
app.add_typer(code.app, name="code")
app.add_typer(source.app, name="source")
app.add_typer(job.app, name="job")
app.add_typer(image.app, name="image")
app.add_typer(workgroup.app, name="workgroup")
app.add_typer(tag.app, name="tag")
app.add_typer(webhook.app, name="webhook")
app.add_typer(key.app, name="key")
app.add_typer(account.app, name="account")
app.add_typer(principal.user, name="user")
app.add_typer(principal.role, name="role")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.command(add_help_option=False, context_settings=SETTINGS)(api)
app.command(hidden=True)(receive)


@app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def agent(context: typer.Context) -> None:
    """The agent on a source server (see: rehost agent --help)."""
    from rehost.agent.main import main as run_agent

    raise typer.Exit(run_agent(context.args))
