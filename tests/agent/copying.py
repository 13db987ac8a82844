"""A run against a real receiver, and what its replica has to equal."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rehost.agent.copy.run import Settings, carry_out
from rehost.agent.survey import inventory
from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, Progress, RunOptions, RunReport
from rehost.core.extent import Extent, chunk_size_for
from rehost.wire.tls import client_context
from tests.loopdisks import LoopDisk
from tests.receive.site import CHUNK as CHUNK
from tests.receive.site import Site

OPTIONS = RunOptions(freeze_deadline=60.0)


@dataclass
class Lab:
    """Disks and the site that they are copied to."""

    site: Site
    disks: tuple[LoopDisk, ...]
    options: RunOptions = OPTIONS
    base_roots: tuple[str, ...] = ()
    generation: int = 1

    @property
    def assignment(self) -> Assignment:
        volumes = tuple(
            AssignmentVolume(shape.volume, disk.path, shape.size, shape.chunk)
            for shape, disk in zip(self.site.shapes, self.disks, strict=True)
        )
        return Assignment(
            "r-1",
            "job",
            self.generation,
            self.site.ticket(self.generation),
            self.site.address,
            self.site.port,
            volumes,
            self.options,
            self.base_roots,
        )

    def carry_out(
        self,
        settings: Settings | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        stop: threading.Event | None = None,
        port: int | None = None,
    ) -> RunReport:
        assignment = self.assignment
        return carry_out(
            replace(assignment, receiver_port=port) if port else assignment,
            inventory.collect([disk.path for disk in self.disks]),
            client_context((self.site.data / "keys" / "server.crt").read_text()),
            progress,
            stop or threading.Event(),
            settings or Settings(),
        )

    def renew(self) -> None:
        self.site.renew()

    def replica(self, volume: int = 0) -> Path:
        return self.site.data_file(volume)


@contextmanager
def lab(
    folder: Path,
    *disks: LoopDisk,
    options: RunOptions = OPTIONS,
    address: str = "127.0.0.1",
    prefix: Sequence[str] = (),
) -> Iterator[Lab]:
    """A receiver that runs at `address`, by the command `prefix`, with a replica of these disks."""
    shapes = [VolumeShape(number, disk.size, chunk_size_for(disk.size)) for number, disk in enumerate(disks)]
    site = Site(folder / "data", shapes, address, prefix)
    site.raise_generation(1)
    site.start()
    try:
        yield Lab(site, disks, options)
    finally:
        if site.process is not None:
            site.stop()


def snapshot(disk: LoopDisk, target: Path) -> None:
    """The disk as it is, sparse; of a frozen disk what the replica has to equal."""
    subprocess.run(
        ["dd", f"if={disk.path}", f"of={target}", "bs=1M", "iflag=direct", "conv=sparse", "status=none"],
        check=True,
    )


def differing_bytes(one: Path, other: Path, extents: Sequence[Extent]) -> list[Extent]:
    """Where two files differ inside these extents."""
    differing = []
    with one.open("rb") as a, other.open("rb") as b:
        for extent in extents:
            a.seek(extent.start)
            b.seek(extent.start)
            if a.read(len(extent)) != b.read(len(extent)):
                differing.append(extent)
    return differing
