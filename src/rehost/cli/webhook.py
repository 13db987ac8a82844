"""`rehost webhook`: outside systems that hear of events."""

import time
from typing import Annotated

import typer

from rehost.cli.client import Client, Reply, load_profile
from rehost.cli.options import ProfileFile
from rehost.cli.output import Exit, Json, errors_shown, note, print_fields, print_json, print_table
from rehost.core.errors import WebhookError

app = typer.Typer(no_args_is_help=True, help="Webhooks: outside systems that hear of events.")
Hook = Annotated[str, typer.Argument(metavar="WEBHOOK", help="A webhook's id, wh-….")]
LOOK = 0.5  # seconds between two looks at what came of a test
PATIENCE = 30.0  # seconds that a test waits: what is before it in the queue goes first


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages go: https://HOST[:PORT]/PATH.")],
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="PATTERN",
            help="job.fail, 'job.*', or a job's status or state, such as InError; repeatable. Without: all.",
            show_default=False,
        ),
    ] = None,
    profile_file: ProfileFile = None,
    as_json: Json = False,
) -> None:
    """Have an URL told of what happens from now on. The secret that signs messages is shown now and never
    again."""
    patterns = {f"Event.{number}": pattern for number, pattern in enumerate(event or (), 1)}
    with errors_shown(as_json):
        made = Client(load_profile(profile_file)).call("CreateWebhook", {"Url": url, **patterns})
    told = {name: made[name] for name in ("WebhookId", "Secret")}
    if as_json:
        print_json(told)
        return
    print_fields(told)
    note(f"the secret is not shown again; next: rehost webhook test {told['WebhookId']}")


@app.command("list")
def list_hooks(profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List the webhooks, and what is wrong with them."""
    with errors_shown(as_json):
        hooks = list(Client(load_profile(profile_file)).each("DescribeWebhooks", "Webhooks", {}))
    if as_json:
        print_json(hooks)
        return
    print_table(("id", "url", "events", "state", "why"), map(_row, hooks))


@app.command()
def deliveries(hook: Hook, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """List the last attempts to tell a webhook, newest first."""
    with errors_shown(as_json):
        attempts = _attempts(Client(load_profile(profile_file)), hook)
    if as_json:
        print_json(attempts)
        return
    print_table(
        ("time", "event", "resource", "attempt>", "status>", "ms>", "error"),
        (
            (
                one["Time"], one["Type"], one["ResourceId"], one["Attempt"], one.get("HttpStatus"),
                one["Milliseconds"], one["Error"],
            )
            for one in attempts
        ),
    )  # fmt: skip


@app.command("test")
def try_out(hook: Hook, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Send a message of type webhook.test, and say what came of it; exit code 1 when it did not arrive."""
    with errors_shown(as_json):
        client = Client(load_profile(profile_file))
        before = {one["MessageId"] for one in _attempts(client, hook)}
        client.call("TestWebhook", {"WebhookId": hook})
        attempt = _outcome(client, hook, before)
    if as_json:
        print_json(attempt)
    elif not attempt["Error"]:
        note(f"{hook} has it: HTTP {attempt['HttpStatus']} after {attempt['Milliseconds']} ms")
    else:
        note(f"{hook} does not have it yet: {attempt['Error']}; it is tried again")
    raise typer.Exit(Exit.ERROR if attempt["Error"] else Exit.OK)


@app.command()
def enable(hook: Hook, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Tell a webhook again, of all that happened while it was disabled too."""
    _call("ModifyWebhookAttribute", hook, "is enabled", profile_file, as_json, Enabled=True)


@app.command()
def disable(hook: Hook, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Tell a webhook nothing until it is enabled again."""
    _call("ModifyWebhookAttribute", hook, "is disabled", profile_file, as_json, Enabled=False)


@app.command()
def remove(hook: Hook, profile_file: ProfileFile = None, as_json: Json = False) -> None:
    """Remove a webhook; what it was not told of yet it never is."""
    _call("DeleteWebhook", hook, "is removed", profile_file, as_json)


def _call(
    action: str, hook: str, done: str, profile_file: ProfileFile, as_json: bool, **more: object
) -> None:
    with errors_shown(as_json):
        Client(load_profile(profile_file)).call(action, {"WebhookId": hook, **more})
    if as_json:
        print_json({"WebhookId": hook})
    else:
        note(f"{hook} {done}")


def _attempts(client: Client, hook: str) -> list[Reply]:
    return list(client.each("DescribeWebhookDeliveries", "Attempts", {"WebhookId": hook}))


def _outcome(client: Client, hook: str, before: set[str]) -> Reply:
    """The first attempt at the test, or of what stands before it and fails; WebhookError without any."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for one in reversed(_attempts(client, hook)):
            new = one["MessageId"] not in before
            if new and (one["Error"] or one["Type"] == "webhook.test"):
                return one
        time.sleep(LOOK)
    raise WebhookError(
        f"the test of {hook} was not sent within {PATIENCE:g} s",
        "an earlier message is in its way, or it is disabled: rehost webhook list",
    )


def _row(hook: Reply) -> tuple[object, ...]:
    state = "enabled" if hook["Enabled"] else "disabled"
    if hook["Enabled"] and hook["FailedAttempts"]:
        state = f"failing, next at {hook.get('NextAttemptTime')}"
    return hook["WebhookId"], hook["Url"], ", ".join(hook["Events"]["Event"]) or "all", state, hook["Reason"]
