"""A job of a guest's disks: the agent's run in there, a real receiver here."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from rehost.block import replica
from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, RunReport
from tests.agent.agent_process import Outcome, Task
from tests.agent.copying import OPTIONS
from tests.guest.machine import HOST, Guest
from tests.receive.site import CHUNK, Site


class GuestJob:
    """`names` are those of its disks in there (vda)."""

    def __init__(self, guest: Guest, names: tuple[str, ...], folder: Path) -> None:
        self.guest = guest
        self._names = names
        sizes = (guest.disks[name].stat().st_size for name in names)
        self.site = Site(folder / "data", [VolumeShape(n, size, CHUNK) for n, size in enumerate(sizes)])
        self.site.raise_generation(1)

    def __enter__(self) -> Self:
        self.site.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()

    @property
    def replicas(self) -> list[Path]:
        return [shape.data_path(self.site.folder) for shape in self.site.shapes]

    def renew(self) -> None:
        """An empty replica in the place of the one there is."""
        shutil.rmtree(self.site.folder)
        replica.create(self.site.folder, self.site.shapes)
        self.site.raise_generation(1)

    def carry_out(
        self, while_frozen: Callable[[], None] = lambda: None, prefix: str = "", rate: float = 0.0
    ) -> RunReport:
        """A run; `while_frozen` is called in each freeze, when all is read.

        `prefix` is a command that runs the agent, `rate` its reads in bytes a second.
        """
        volumes = tuple(
            AssignmentVolume(shape.volume, f"/dev/{name}", shape.size, shape.chunk)
            for shape, name in zip(self.site.shapes, self._names, strict=True)
        )
        assignment = Assignment("r-1", "job", 1, self.site.ticket(), HOST, self.site.port, volumes, OPTIONS)
        ca = (self.site.data / "keys" / "server.crt").read_text()
        task = msgspec.json.encode(Task(assignment, ca, rate=rate, waits_frozen=True)).decode()
        with self.guest.session(f"cd /opt && exec {prefix} python3 agent_process.py '{task}' 2>&1") as talk:
            while (line := talk.readline()) == "frozen\n":
                while_frozen()
                talk.write("go\n")
        return report_of(line)


def report_of(line: str) -> RunReport:
    try:
        outcome = msgspec.json.decode(line, type=Outcome)
    except msgspec.DecodeError:
        raise AssertionError(f"the agent said {line!r}") from None
    assert outcome.report is not None, outcome.error
    return outcome.report
