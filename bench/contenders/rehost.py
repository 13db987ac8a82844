"""rehost: the agent's run in a process of its own, against the receiver's process."""

import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.agent import Task
from bench.place import Place
from rehost.agent import checkpoint
from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, RunOptions, RunReport
from rehost.core.extent import chunk_size_for
from tests.loopdisks import LoopDisk
from tests.receive.site import Site

DEFAULTS = RunOptions()


class Rehost:
    """`keeps`: what the agent knows outlives a run, as for jobs that run again; else the next one compares
    by digest."""

    def __init__(
        self, folder: Path, options: RunOptions = DEFAULTS, name: str = "rehost", keeps: bool = False
    ) -> None:
        self.name = name
        self._data, self._options, self._keeps = folder / name.replace(" ", "-"), options, keeps

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        shape = VolumeShape(0, disk.size, chunk_size_for(disk.size))
        site = Site(self._data, [shape], place.far.address, place.far.command())
        site.raise_generation(1)
        site.start()
        volume = AssignmentVolume(0, disk.path, shape.size, shape.chunk)
        assignment = Assignment(
            "r-1", "job", 1, site.ticket(), place.far.address, site.port, (volume,), self._options,
            base_roots=self._roots(),
        )  # fmt: skip
        certificate = (self._data / "keys/server.crt").read_text()
        state = self._data / "agent"
        state.mkdir(exist_ok=True)
        given = Task(assignment, certificate, str(state) if self._keeps else "")
        task = self._data / "task.json"
        task.write_bytes(msgspec.json.encode(given))
        try:
            yield (sys.executable, "-m", "bench.agent", str(task))
        finally:
            site.stop(signal.SIGTERM)

    def _roots(self) -> tuple[str, ...]:
        """Of the run before."""
        report = self._data / "report.json"
        if not report.exists():
            return ()
        return msgspec.json.decode(report.read_bytes(), type=RunReport).roots

    def clear(self) -> None:
        """Trackers end too: they are pinned in the kernel, and would outlive the bench."""
        if checkpoint.exists(self._data / "agent"):
            checkpoint.forget(self._data / "agent")
        shutil.rmtree(self._data, ignore_errors=True)
