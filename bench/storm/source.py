"""A source server: a disk with a file system, a program that writes to it, and an agent, in a namespace."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import disk as content
from bench.storm.units import ROOT
from rehost.agent import identity
from tests.loopdisks import LoopDisk, loop_disks
from tests.migration.source import Agent
from tests.netlab.link import Namespace

SIZE, FILLED = 96 << 20, 16 << 20  # bytes: of the disk, and of the files that stay as they are


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    disk: LoopDisk
    agent: Agent

    @property
    def id(self) -> str:
        return identity.registered(self.agent.state).source_id


@contextmanager
def source(name: str, folder: Path, space: Namespace) -> Iterator[Source]:
    """The writer is at work; the agent is not registered, and not started."""
    folder.mkdir()
    with loop_disks(folder) as disks:
        disk = content.make(disks, SIZE)
        content.fill(disk, content.content(), FILLED, seed=sum(name.encode()))
        assert disk.mount is not None
        files = disk.mount / "writer"
        files.mkdir()
        command = [sys.executable, "-m", "bench.storm.writer", str(files), name]
        with subprocess.Popen(command, cwd=ROOT) as writer:
            try:
                yield Source(name, disk, Agent(folder / "agent", disk.path, prefix=space.command()))
            finally:
                writer.kill()
