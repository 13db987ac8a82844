"""The process of many agents, see `bench.fleet`: what they heard and when, and how much was answered."""

import queue
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import IO

from bench.contenders.services import CLIENT_CORE
from bench.fleet import Counts

_FILES = 1 << 16  # of a process: each agent has one connection or two
_PATIENCE = 600.0  # seconds for a line that has to come


@dataclass(frozen=True, slots=True)
class Heard:
    """A command that reached an agent."""

    source: str
    at: float  # seconds since 1970
    run: str  # empty: there is nothing to do


class FleetProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        self.heard: list[Heard] = []
        self._input, self._output = process.stdin, process.stdout
        self._told: queue.Queue[list[str]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_warm(self) -> None:
        self._told.get(timeout=_PATIENCE)

    def counts(self) -> Counts:
        """As of now, since the start."""
        assert self._input is not None
        self._input.write("\n")
        self._input.flush()
        return Counts(*map(int, self._told.get(timeout=_PATIENCE)[1:]))

    def _listen(self) -> None:
        lines: IO[str] | None = self._output
        assert lines is not None
        for line in lines:
            words = line.split()
            if words[0] == "heard":
                self.heard.append(Heard(words[1], float(words[2]), words[3].strip("-")))
            else:
                self._told.put(words)


@contextmanager
def fleet(ports: Sequence[int], agents: int, warm: float, *options: str) -> Iterator[FleetProcess]:
    """Agents take the ports in turns."""
    where = ",".join(map(str, ports))
    command = [sys.executable, "-m", "bench.fleet", where, str(agents), str(warm), *options]
    with subprocess.Popen(
        ["taskset", "-c", str(CLIENT_CORE), *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield FleetProcess(process)
        finally:
            process.terminate()


def between(before: Counts, after: Counts) -> Counts:
    return Counts(*(getattr(after, each.name) - getattr(before, each.name) for each in fields(Counts)))


def allow_files() -> int:
    """As many as wanted, else as many as are allowed here: then connections fail when either side is slow."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    except ValueError:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def slowest(given: Sequence[tuple[str, float]], heard: Sequence[Heard]) -> tuple[float, float]:
    """The share of commands (source, when) that were heard, and the seconds that the slowest took."""
    waited = []
    for source, when in given:
        later = [each.at - when for each in heard if each.source == source and each.at >= when]
        waited += [min(later)] if later else []
    return len(waited) / len(given), max(waited, default=float("nan"))
