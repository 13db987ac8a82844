"""One script of the server's owner: run with a time limit, what it says captured."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STEP = 0.1  # seconds between two looks at it
_GRACE = 2.0  # seconds from SIGTERM to SIGKILL
_LONGEST = 4096  # bytes of its output that are kept, the last ones
_DONE = "done"


@dataclass(frozen=True, slots=True)
class Ended:
    outcome: str  # for people
    seconds: float
    output: str

    @property
    def ok(self) -> bool:
        return self.outcome == _DONE


def run(
    path: Path,
    environment: Mapping[str, str],
    seconds: float,
    check: Callable[[], None],
    started: Callable[[int], None],
) -> Ended:
    """Run it to its end, or for `seconds` at most; it leads a session of its own.

    `check` may raise to end it at once; `started` is told its process id. What it leaves running in the
    background is not waited for: its output goes into a file in memory, not through a pipe.
    """
    began = time.monotonic()
    output = os.memfd_create("output")
    try:
        outcome = _outcome(path, environment, seconds, check, started, output)
        return Ended(outcome, time.monotonic() - began, _end_of(output))
    finally:
        os.close(output)


def kill_group(pid: int) -> None:
    """End a script and what it started in its own process group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and started_at(pid):
            time.sleep(_STEP)
        os.killpg(pid, signal.SIGKILL)


def started_at(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _outcome(
    path: Path,
    environment: Mapping[str, str],
    seconds: float,
    check: Callable[[], None],
    started: Callable[[int], None],
    output: int,
) -> str:
    try:
        process = subprocess.Popen(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    try:
        started(process.pid)
        return _wait(process, seconds, check)
    finally:
        if process.poll() is None:
            kill_group(process.pid)
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", seconds: float, check: Callable[[], None]) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(_STEP)
            if status < 0:
                return f"ended by signal {-status}"
            return f"exit code {status}" if status else _DONE
    return f"not done within {seconds:.3g} s"


def _end_of(output: int) -> str:
    size = os.fstat(output).st_size
    return os.pread(output, _LONGEST, max(0, size - _LONGEST)).decode("utf-8", "replace").strip()
