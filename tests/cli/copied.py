"""A data folder with images of runs that have ended, and ways to damage what is in it."""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner, Result

from rehost.block.layer import Layer, chain
from rehost.cli.app import app
from rehost.compute.local import LocalDriver
from rehost.core.agentapi import Assignment, AssignmentVolume, Register, RunReport
from rehost.core.agentapi import Result as RunResult
from rehost.core.job import Event
from rehost.core.server import BootMode, Disk, Inventory, Partition
from rehost.store.jobspec import JobSpec
from rehost.store.runs import Run, RunType
from rehost.store.store import Store
from tests.compute.replicas import CHUNK, fill, spec

CONTENTS = (bytes([1]) * CHUNK + bytes(3 * CHUNK) + bytes([2]) * (2 * CHUNK), bytes([3]) * 5000)
_INVENTORY = Inventory(
    "web1",
    "Debian",
    "x86_64",
    "6.1.0",
    BootMode.BIOS,
    2,
    4 << 30,
    (
        Disk(
            0, "/dev/sda", 6 * CHUNK, "dos", partitions=(Partition(0, "/dev/sda1", CHUNK, 5 * CHUNK, "ext4"),)
        ),
        Disk(1, "/dev/sdb", 5000),
    ),
)


class Folder:
    """A control plane's data: one job, its runs with their records, and an image for each."""

    def __init__(self, data: Path, job: str) -> None:
        self.data = data
        self.job = job
        self.driver = LocalDriver(data)

    def duplicate(self, data: Path) -> "Folder":
        shutil.copytree(self.data, data)
        return Folder(data, self.job)

    def store(self) -> closing[Store]:
        return _store(self.data)

    def copy(self, contents: Sequence[bytes]) -> str:
        """A run that brings the disks to this content; the id of its image."""
        with self.store() as store:
            begun = self._begin(store)
            volumes = [spec(number, content) for number, content in enumerate(contents)]
            self.driver.create_replica(self.job, volumes, begun.generation, begun.id)
            roots = fill(self.driver.replica_path(self.job), contents, begun.generation)
            self.driver.seal(self.job, begun.id, roots)
            self._report(store, begun, roots)
            image = store.images.reserve(store.jobs.get(self.job), begun.id).id
            self.driver.create_image(image, self.job, "web")
            self.driver.finish_image(image)
            store.jobs.apply(self.job, Event.PROCESSED, "test")
            store.runs.end(begun.id, Event.WAIT, "test")
        return image

    def _begin(self, store: Store) -> Run:
        begun = store.runs.begin(self.job, Event.START, RunType.MANUAL, "test")
        copied = tuple(AssignmentVolume(disk.index, disk.path, disk.size, CHUNK) for disk in _INVENTORY.disks)
        assignment = Assignment(begun.id, self.job, begun.generation, "", "", 1, copied)
        store.runs.hand_over(assignment, _INVENTORY, "ti", "test")
        return begun

    def _report(self, store: Store, run: Run, roots: Sequence[bytes]) -> None:
        report = RunReport(tuple(root.hex() for root in roots), (), 0, 0, 0, 0.0, 1.0, 2.0)
        source = store.jobs.get(self.job).spec.source_id
        assert store.runs.record_result(source, RunResult(run.id, run.generation, report))
        store.jobs.apply(self.job, Event.SYNCED, "test")

    @property
    def layers(self) -> tuple[Layer, ...]:
        return chain(self.driver.replica_path(self.job))

    def verify(self, image: str, *words: str) -> Result:
        return CliRunner().invoke(app, ["verify", image, *words, "--data", str(self.data)])


def create(data: Path) -> Folder:
    (data / "keys").mkdir(parents=True)
    (data / "keys/secrets.key").write_bytes(bytes(32))
    with _store(data) as store:
        _, code = store.codes.create("one", "test")
        source = store.servers.register(Register(code, "a" * 64, _INVENTORY, "0.1")).id
        return Folder(data, store.jobs.create("one", JobSpec(source, run_once=False), None, "k").id)


def _store(data: Path) -> closing[Store]:
    return closing(Store.open(data, bytes(32)))


def damage(path: Path, offset: int, length: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xaa" * length)


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
