"""A control plane without HTTP: the real store, engine, steps and upkeep over the in-memory driver."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost.compute.driver import Image, VolumeSpec
from rehost.compute.memory import MemoryDriver
from rehost.core.agentapi import Assignment, ErrorReport, Register, Result, RunReport
from rehost.core.job import JobState
from rehost.core.server import BootMode, Disk, Inventory, Partition
from rehost.flow.dbos_engine import DbosEngine
from rehost.flow.lifecycle import Lifecycle
from rehost.flow.ports import Leave
from rehost.flow.run import NAME, RunWorkflow
from rehost.flow.steps import Steps
from rehost.flow.upkeep import Upkeep
from rehost.store.jobspec import DiskSpec, JobSpec
from rehost.store.store import Store
from rehost.store.transition import Job

DISK = 1 << 20
INVENTORY = Inventory(
    hostname="web1", platform="Debian", architecture="x86_64", kernel="6.1.0", boot_mode=BootMode.BIOS,
    cores=2, memory=4 << 30,
    disks=(
        Disk(0, "/dev/sda", DISK, partitions=(
            Partition(0, "/dev/sda1", 0, DISK // 2, "ext4", used=1000),
            Partition(1, "/dev/sda2", DISK // 2, DISK // 2, "swap"),
        )),
        Disk(1, "/dev/sdb", DISK),
        Disk(2, "/dev/sdc", DISK),
    ),
)  # fmt: skip
ROOTS = ("11" * 32, "22" * 32)
REPORT = RunReport(ROOTS, (), 0, 0, 0, 0.1, 0.0, 1.0)


@dataclass
class FixedDoor:
    place: tuple[str, int] | None = ("", 7443)

    def leave(
        self, job: str, run: str, generation: int, volumes: Sequence[VolumeSpec], *, checksum: bool
    ) -> Leave:
        return Leave(f"ticket of {run}.{generation}", "", 7443)

    def here(self) -> tuple[str, int] | None:
        return self.place


class NoConversion:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.disks: list[int] = []
        self.failure: Exception | None = None
        self.hold: Callable[[], None] = lambda: None

    def convert(
        self, image: Image, overlays: Sequence[Path], inventory: Inventory, say: Callable[[str], None]
    ) -> object:
        say("changing nothing")
        self.calls.append(image.id)
        self.disks = [disk.index for disk in inventory.disks]
        self.hold()
        if self.failure is not None:
            raise self.failure
        return {"changes": []}


class World:
    def __init__(self, folder: Path, records: Path | str) -> None:
        self.folder = folder
        self._engine_records = records / "dbos.db" if isinstance(records, Path) else records
        self.store = Store.open(records, bytes(32))
        self.folder = folder
        self.driver = MemoryDriver(folder / "driver")
        self.converter = NoConversion()
        self.door = FixedDoor()
        self.stopping = False
        self.steps = Steps(self.store, self.driver, self.converter, self.door, lambda: self.stopping)
        self.open_engine()

    def open_engine(self) -> None:
        self.engine = DbosEngine(self._engine_records, {NAME: RunWorkflow(self.steps)})
        self.upkeep = Upkeep(self.store, self.engine, self.driver, self.door)
        self.lifecycle = Lifecycle(self.store, self.engine, lambda: None)

    def close(self) -> None:
        self.stopping = True  # a step that is at work does not wait for records that are gone
        self.engine.close()
        self.store.close()

    def register(self, letter: str = "a") -> str:
        _, code = self.store.codes.create("one", "test")
        return self.store.servers.register(Register(code, letter * 64, INVENTORY, "0.1")).id

    def job(self, source: str, **changes: object) -> Job:
        spec = JobSpec(source, data_disks=(DiskSpec(1),), image_name="golden", **changes)  # type: ignore[arg-type]
        return self.store.jobs.create("one", spec, None, "tester")

    def started(self, **changes: object) -> tuple[str, str, str]:
        """Source, job and run of a job that waits for its copy."""
        source = self.register()
        job = self.job(source, **changes)
        run = self.lifecycle.start(job.id, "tester")
        self.until(job.id, JobState.SYNCING)
        return source, job.id, run.id

    def assignment(self, source: str) -> Assignment:
        """What the source's agent is told."""
        _, found = self.store.assignments.get(source)
        assert found is not None
        return found

    def copied(self, source: str, run: str, generation: int = 1) -> bool:
        return self.lifecycle.result(source, Result(run, generation, REPORT))

    def copy_failed(self, source: str, run: str, generation: int = 1) -> bool:
        error = ErrorReport("SourceDisk.ReadFailed", "sda is broken", "replace it")
        return self.lifecycle.result(source, Result(run, generation, error=error))

    def until(self, job_id: str, *states: JobState) -> Job:
        """Wait for one of the states; which is never a matter of how long."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = self.store.jobs.get(job_id)
            if job.state in states:
                return job
            time.sleep(0.05)
        raise AssertionError(f"{job.state} {job.status_info} after a minute, not one of {states}")
