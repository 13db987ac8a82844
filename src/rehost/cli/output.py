"""What every command prints: tables for people, JSON for programs, errors on stderr with an exit code.

Results go to stdout and nothing else does, so that `rehost … --json | jq` always works.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, TextIO

import msgspec
import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from rehost.core.errors import InvalidValueError, NotFoundError, RehostError, code_of


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    JOB_FAILED = 4


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def stdout() -> Console:
    """A console on the present stdout (looked up each time: tests and pipes replace it)."""
    return _console(sys.stdout)


def stderr() -> Console:
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    """As wide as the terminal; a pipe has no width, and its lines stay whole for whoever searches them."""
    terminal = stream.isatty()
    return Console(file=stream, highlight=False, soft_wrap=not terminal, width=None if terminal else 1000)


def print_json(value: object) -> None:
    """Any value of dataclasses, structs, mappings and lists as indented JSON."""
    sys.stdout.write(_json(value) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; columns whose title ends in `>` are aligned to the right. The first column, the id, stays
    whole on narrow terminals too: it is what people copy."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(columns):
        side: JustifyMethod = "right" if title.endswith(">") else "left"
        table.add_column(title.rstrip(">"), justify=side, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    stdout().print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """One value per line under its name, for `show` commands."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, _cell(value))
    stdout().print(table)


def note(text: str) -> None:
    """Something a person should know that is not the result: to stderr."""
    stderr().print(text, markup=False)


def exit_code(error: RehostError) -> Exit:
    if isinstance(error, NotFoundError) or code_of(error).endswith("NotFound"):
        return Exit.NOT_FOUND
    return Exit.USAGE if isinstance(error, InvalidValueError) else Exit.ERROR


def print_error(error: RehostError, as_json: bool = False) -> None:
    """What happened and what to do next, on stderr."""
    if as_json:
        sys.stderr.write(_json({"code": code_of(error), "what": error.what, "advice": error.advice}) + "\n")
        return
    console = stderr()
    console.print(f"rehost: {error.what}", markup=False, style="red" if console.is_terminal else None)
    if error.advice:
        console.print(f"  {error.advice}", markup=False)


@contextmanager
def errors_shown(as_json: bool = False) -> Iterator[None]:
    """Around a command's body: errors of the tree end it with their text and exit code; others are bugs."""
    try:
        yield
    except RehostError as error:
        print_error(error, as_json)
        raise typer.Exit(exit_code(error)) from error


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def _cell(value: object) -> Text:
    return Text("-" if value is None or value == "" else str(value))  # a Text: brackets are not markup
