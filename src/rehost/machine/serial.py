"""Reading the serial console that QEMU writes to a file."""

import re
import time
from collections.abc import Callable
from pathlib import Path

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Za-z0-9]|[@-Z\\^_=>78c])")


def plain(raw: bytes) -> str:
    """Console output as text: no terminal escapes, one line ending."""
    text = _ESCAPES.sub("", raw.decode(errors="replace"))
    return re.sub(r"\r+\n?", "\n", text.replace("\r\n", "\n")).replace("\0", "")


def read(file: Path) -> str:
    """The whole console so far; empty when nothing is there yet."""
    return plain(file.read_bytes()) if file.exists() else ""


def tail(file: Path, lines: int = 20) -> str:
    return "\n".join([line for line in read(file).splitlines() if line.strip()][-lines:])


def wait_for(
    file: Path, pattern: str, timeout: float, running: Callable[[], bool], interval: float = 0.2
) -> re.Match[str] | None:
    """The first match of a pattern in the console; None after `timeout` seconds or when the machine ended."""
    deadline, wanted = time.monotonic() + timeout, re.compile(pattern, re.MULTILINE)
    while True:
        alive = running()  # asked before reading, so that the last words of an ended machine are seen
        if match := wanted.search(read(file)):
            return match
        if not alive or time.monotonic() > deadline:
            return None
        time.sleep(interval)
