"""What a storm can strike, each started again at the place where it was, as by an init system."""

import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bench.storm.blows import Blow, Role
from bench.storm.network import pids_in
from tests.migration.source import Agent
from tests.netlab.link import Namespace
from tests.postgresql import Cluster

ROOT = Path(__file__).parents[2]
_ENDING = 60  # seconds to end in order


class Unit(ABC):
    """Something with a name that runs, is struck, and is started again."""

    def __init__(self, name: str, role: Role) -> None:
        self.name, self.role = name, role
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None: ...

    @property
    def ready(self) -> bool:
        """It is up, and does its work."""
        return self.process is not None

    @property
    def ended(self) -> int | None:
        """With which status, if it has ended though nobody struck it."""
        return None if self.process is None else self.process.poll()

    def strike(self, blow: Blow) -> None:
        assert self.process is not None
        self.process.kill()
        self.reap()

    def reap(self) -> None:
        assert self.process is not None
        self.process.wait(_ENDING)
        self.process = None

    def end(self) -> None:
        """In order."""
        if self.process is not None:
            self.process.terminate()
            self.reap()


class Host(Unit):
    """`rehost serve` or `rehost worker` in a network namespace."""

    def __init__(self, role: Role, space: Namespace, data: Path, *words: str) -> None:
        """`words`: what `bench.storm.host` takes after the address."""
        super().__init__(data.name, role)
        self.space, self.data = space, data
        self._words = (str(data), data.name, space.address, *words, role)
        self._said = data.with_suffix(".said")

    def start(self) -> None:
        command = self.space.command(sys.executable, "-m", "bench.storm.host", *self._words)
        with self._said.open("wb") as said, self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=log
            )

    @property
    def ready(self) -> bool:
        return self.process is not None and self._said.stat().st_size > 0

    def strike(self, blow: Blow) -> None:
        match blow:
            case Blow.PAUSE:
                _signal(pids_in(self.space), signal.SIGSTOP)
            case Blow.RECEIVER:
                _signal([json.loads((self.data / "receiver.json").read_text())["pid"]], signal.SIGKILL)
            case Blow.HOST:
                _signal(pids_in(self.space), signal.SIGKILL)
                self.reap()
            case _:
                super().strike(blow)

    def go_on(self) -> None:
        _signal(pids_in(self.space), signal.SIGCONT)


class AgentUnit(Unit):
    def __init__(self, name: str, agent: Agent) -> None:
        super().__init__(name, Role.AGENT)
        self._agent = agent

    def start(self) -> None:
        self._agent.start()
        self.process = self._agent.process


class DatabaseUnit(Unit):
    """Started by its own programs; here it is only told to."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__("database", Role.DATABASE)
        self._cluster = cluster
        self._runs = True  # a cluster is made running

    def start(self) -> None:
        self._cluster.start()
        self._runs = True

    @property
    def ready(self) -> bool:
        return self._runs

    def strike(self, blow: Blow) -> None:
        self._cluster.stop("immediate")
        self._runs = False

    def end(self) -> None:
        """Whoever made the cluster ends it."""


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)
