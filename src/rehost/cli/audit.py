"""`rehost audit`: who asked for what, from where, and what came of it."""

import csv
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from rehost.api import times
from rehost.cli import datafolder
from rehost.cli.options import DATA, Data
from rehost.cli.output import Json, errors_shown, print_json, print_table
from rehost.core.errors import InvalidValueError
from rehost.store.audit import AuditEntry, AuditFilter

app = typer.Typer(no_args_is_help=True, help="The audit trail: who asked for what, and what came of it.")


Row = dict[str, Any]


class Form(StrEnum):
    JSON_LINES = "jsonl"
    CSV = "csv"


# What a filter is called on the command line, and in `AuditFilter`.
NAMES = {
    "account": "account",
    "who": "principal",
    "key": "key",
    "action": "action",
    "result": "code",
    "from": "address",
    "resource": "resource",
    "request-id": "request_id",
    "since": "since",
    "until": "until",
}
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help=f"Only entries with this; repeat it for more. Names: {', '.join(NAMES)}. A value may end in *,"
        " such as action=smc:Start*; resource is a part of an ARN; times are YYYY-MM-DDThh:mm:ssZ.",
        show_default=False,
    ),
]


@app.command("list")
def list_entries(
    where: Where = None,
    most: Annotated[int, typer.Option("--most", min=1, max=1000, help="So many, the newest.")] = 50,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """List the newest entries. One without a result is of a request that a sudden end cut off."""
    with errors_shown(as_json), closing(datafolder.open_store(data)) as store:
        entries = store.audit.newest(_filter(where or ()), most)
    if as_json:
        print_json([_shown(entry) for entry in entries])
        return
    rows = (
        (times.write(e.at), e.principal, e.key, e.action, " ".join(e.resources), e.address, e.code or "?")
        for e in entries
    )
    print_table(("time", "who", "key", "action", "resources", "from", "result"), rows)


@app.command()
def export(
    where: Where = None,
    form: Annotated[Form, typer.Option("--format", help="One JSON object a line, or CSV.")] = Form.JSON_LINES,
    data: Data = DATA,
) -> None:
    """Print all entries to stdout, the oldest first."""
    with errors_shown(), closing(datafolder.open_store(data)) as store:
        _WRITERS[form](map(_shown, store.audit.each(_filter(where or ()))))


def _filter(conditions: Sequence[str]) -> AuditFilter:
    values: dict[str, Any] = {}
    for condition in conditions:
        name, equals, value = condition.partition("=")
        if name not in NAMES or not equals:
            raise InvalidValueError(
                f"{condition!r} is no condition", f"write NAME=VALUE; names are {', '.join(NAMES)}"
            )
        values[NAMES[name]] = _time(value) if name in ("since", "until") else value
    return AuditFilter(**values)


def _time(text: str) -> float:
    try:
        return times.parse(text)
    except ValueError as error:
        raise InvalidValueError(str(error), "write it in UTC, such as 2030-01-31T18:00:00Z") from None


def _shown(entry: AuditEntry) -> Row:
    return {
        "Time": times.write(entry.at),
        "RequestId": entry.request_id,
        "Account": entry.account,
        "Who": entry.principal,
        "AccessKeyId": entry.key,
        "Action": entry.action,
        "Resources": entry.resources,
        "SourceIp": entry.address,
        "Result": entry.code,
        "Seconds": entry.seconds if entry.seconds is None else round(entry.seconds, 6),
    }


def _write_json_lines(rows: Iterable[Row]) -> None:
    for row in rows:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def _write_csv(rows: Iterable[Row]) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row))
            writer.writeheader()
        writer.writerow({**row, "Resources": " ".join(row["Resources"])})


_WRITERS: Mapping[Form, Callable[[Iterable[Row]], None]] = {
    Form.JSON_LINES: _write_json_lines,
    Form.CSV: _write_csv,
}
