"""Processes that tests start, hear of when they are ready, and end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import AnyStr

_ENDING = 60  # seconds


@contextmanager
def python(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A Python process with pipes for its input and output; killed on leaving if it has not ended by then."""
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: "subprocess.Popen[AnyStr]") -> AnyStr:
    """The next line that it says; empty if it ended."""
    assert process.stdout is not None
    return process.stdout.readline()


def end(process: "subprocess.Popen[str]", word: str = "") -> str:
    """Say a last word and close its input, at which it ends well; what it said more."""
    said, _ = process.communicate(word, timeout=_ENDING)
    assert process.returncode == 0, process.args
    return said
