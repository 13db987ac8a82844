"""A job of a guest's disks: the agent's run in there, a real receiver here."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, RunOptions, RunReport
from rehost.core.digest import ABSENT
from tests.agent.agent_process import Outcome, Task
from tests.guest.machine import HOST, Guest
from tests.migration.ledger import Ledger
from tests.receive.site import CHUNK, Site

# Emulated guests write faster than they send: rounds end soon, and the freeze may take long.
OPTIONS = RunOptions(freeze_deadline=600.0, most_rounds=3)


def _nothing() -> None:
    pass


class GuestJob:
    """`names` are those of its disks in there (vda).

    `state` is a folder in there that the agent keeps from run to run, `base_roots` what the next run may
    build on.
    """

    def __init__(self, guest: Guest, names: tuple[str, ...], folder: Path, state: str = "") -> None:
        self.guest = guest
        self.options = OPTIONS
        self.base_roots: tuple[str, ...] = ()
        self._names, self._state = names, state
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
        return [self.site.data_file(shape.volume) for shape in self.site.shapes]

    def durable(self) -> int:
        """Bytes from the beginning of the first disk that its journal has."""
        entries = Ledger(self.site.folder).entries
        chunks = next((chunk for (_, chunk), entry in entries.items() if entry == ABSENT), len(entries))
        return chunks * CHUNK

    def carry_out(
        self, while_frozen: Callable[[], None] = _nothing, prefix: str = "", **task: object
    ) -> RunReport:
        outcome = self.outcome(while_frozen, prefix, **task)
        assert outcome.report is not None, outcome.error
        return outcome.report

    def outcome(
        self, while_frozen: Callable[[], None] = _nothing, prefix: str = "", **task: object
    ) -> Outcome:
        """Of a run; `while_frozen` is called in each freeze, when all is read.

        `prefix` is a command that runs the agent, `task` more of what the agent is told.
        """
        told = Task(
            self._assignment(),
            (self.site.data / "keys" / "server.crt").read_text(),
            waits_frozen=True,
            state=self._state,
            **task,  # type: ignore[arg-type]
        )
        words = f"exec {prefix} python3 agent_process.py '{msgspec.json.encode(told).decode()}'"
        said: list[str] = []
        with self.guest.session(f"cd /opt && {words} 2>&1") as talk:
            while (line := talk.readline()) and not line.startswith("{"):
                said.append(line)  # its log, too
                if line == "frozen\n":
                    while_frozen()
                    talk.write("go\n")
        try:
            return msgspec.json.decode(line, type=Outcome)
        except msgspec.DecodeError:
            raise AssertionError(f"the agent said {said} and {line!r}") from None

    def _assignment(self) -> Assignment:
        volumes = tuple(
            AssignmentVolume(shape.volume, f"/dev/{name}", shape.size, shape.chunk)
            for shape, name in zip(self.site.shapes, self._names, strict=True)
        )
        return Assignment(
            "r-1", "job", 1, self.site.ticket(), HOST, self.site.port, volumes, self.options, self.base_roots
        )
