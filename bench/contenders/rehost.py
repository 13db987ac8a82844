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
from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, RunOptions
from rehost.core.extent import chunk_size_for
from tests.loopdisks import LoopDisk
from tests.receive.site import Site

DEFAULTS = RunOptions()


class Rehost:
    def __init__(self, folder: Path, options: RunOptions = DEFAULTS, name: str = "rehost") -> None:
        self.name = name
        self._data, self._options = folder / name.replace(" ", "-"), options

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        shape = VolumeShape(0, disk.size, chunk_size_for(disk.size))
        site = Site(self._data, [shape])
        site.raise_generation(1)
        site.start(*place.far.command(), listen=f"{place.far.address}:0")
        volume = AssignmentVolume(0, disk.path, shape.size, shape.chunk)
        assignment = Assignment(
            "r-1", "job", 1, site.ticket(), place.far.address, site.port, (volume,), self._options
        )
        task = self._data / "task.json"
        task.write_bytes(msgspec.json.encode(Task(assignment, (self._data / "keys/server.crt").read_text())))
        try:
            yield (sys.executable, "-m", "bench.agent", str(task))
        finally:
            site.stop(signal.SIGTERM)

    def clear(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
