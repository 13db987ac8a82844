"""rehost: the agent's process, up before a run as a service is, against the receiver's process.

Later runs write qcow2 layers: between two runs the one is sealed and a layer for the next is put on it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.agent import Task
from bench.place import Place
from rehost.agent.copy import checkpoint
from rehost.block.layer import chain
from rehost.block.volume import VolumeShape
from rehost.compute.driver import VolumeSpec
from rehost.compute.local.replicas import Replicas
from rehost.core.agentapi import Assignment, AssignmentVolume, RunOptions, RunReport
from rehost.core.extent import chunk_size_for
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.receive.site import Site

DEFAULTS = RunOptions()
# What begins the run of an agent that waits, and ends with it, in two processes as cheap as they come.
_TRIGGER = 'echo >"$1/go"; read -r status <"$1/done"; exit "$status"'


class Rehost:
    """`keeps`: what the agent knows outlives a run, as for jobs that run again. `trusts`: False if each run
    is told to build on nothing, and compares by digest.

    A run that keeps nothing ends the disk's tracker, also where another contender needs it."""

    def __init__(
        self,
        folder: Path,
        options: RunOptions = DEFAULTS,
        name: str = "rehost",
        keeps: bool = False,
        trusts: bool = True,
    ) -> None:
        self.name, self._trusts = name, trusts
        self._data, self._options, self._keeps = folder / name.replace(" ", "-"), options, keeps
        self.layering: list[float] = []  # seconds to seal a run and to make the next one's layer
        self.stored: list[int] = []  # bytes that later runs' layers take on the target's disk
        self.reports: list[RunReport] = []

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        shape = VolumeShape(0, disk.size, chunk_size_for(disk.size))
        site = Site(self._data, [shape], place.far.address, place.far.command())
        generation = self._next_layer(site)
        site.start()
        with ExitStack() as ends:
            ends.callback(site.stop, signal.SIGTERM)
            self._write_task(site, disk, generation)
            ends.enter_context(self._waiting_agent(place))
            yield ("sh", "-c", _TRIGGER, "sh", str(self._data))
            report = msgspec.json.decode((self._data / "report.json").read_bytes(), type=RunReport)
            self.reports.append(report)
            if generation > 1:
                self.stored.append(_allocated(chain(site.folder)[-1].data(0)))

    def _next_layer(self, site: Site) -> int:
        """Seal the last run and put a layer on it, as the control plane does; the next run's generation."""
        if not self.reports:
            site.raise_generation(1)
            return 1
        began, last = time.monotonic(), len(self.reports)
        replicas = Replicas(site.folder.parent)
        replicas.seal("job", f"r-{last}", [bytes.fromhex(root) for root in self.reports[-1].roots])
        specs = [VolumeSpec(shape.volume, shape.size, shape.chunk) for shape in site.shapes]
        replicas.create("job", specs, last + 1, f"r-{last + 1}", built_on=True)
        self.layering.append(time.monotonic() - began)
        return last + 1

    def _write_task(self, site: Site, disk: LoopDisk, generation: int) -> None:
        (shape,) = site.shapes
        volume = AssignmentVolume(0, disk.path, shape.size, shape.chunk)
        assignment = Assignment(
            f"r-{generation}", "job", generation, site.ticket(generation), site.address, site.port, (volume,),
            self._options, base_roots=self.reports[-1].roots if self.reports and self._trusts else (),
        )  # fmt: skip
        state = self._data / "agent"
        state.mkdir(exist_ok=True)
        certificate = (self._data / "keys/server.crt").read_text()
        task = Task(assignment, certificate, str(state) if self._keeps else "")
        (self._data / "task.json").write_bytes(msgspec.json.encode(task))

    @contextmanager
    def _waiting_agent(self, place: Place) -> Iterator[None]:
        for name in ("go", "done"):
            (self._data / name).unlink(missing_ok=True)
            os.mkfifo(self._data / name)
        command = place.near.command(sys.executable, "-m", "bench.agent", str(self._data))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
            try:
                assert agent.stdout is not None
                if agent.stdout.readline() != "up\n":
                    raise RuntimeError("the agent did not come up; what it said is above")
                yield
                agent.wait(30)
            finally:
                agent.kill()

    def check(self, disk: LoopDisk, disks: LoopDisks) -> None:
        """The last run's volume has a sound file system with the same files; RuntimeError if not."""
        raw = self._data / "copied.img"
        top = chain(self._data / "replicas" / "job")[-1]
        run("qemu-img", "convert", "-f", top.form, "-O", "raw", top.data(0), raw)
        try:
            run("e2fsck", "-fn", raw)
            with disks.attached(raw) as device, disks.mounted(device, "-o", "ro,noload") as mount:
                run("diff", "--recursive", "--brief", disk.mount or "", mount)
        finally:
            raw.unlink()

    def clear(self) -> None:
        """Trackers end too: they are pinned in the kernel, and would outlive the bench."""
        if checkpoint.exists(self._data / "agent"):
            checkpoint.forget(self._data / "agent")
        shutil.rmtree(self._data, ignore_errors=True)
        self.reports.clear()


def _allocated(file: Path) -> int:
    return file.stat().st_blocks * 512
