"""Runs whose writes are tracked: what they read, and what they say."""

import os
from pathlib import Path

import pytest

from rehost.agent import host, inventory
from rehost.agent.host import Host
from rehost.agent.run import Settings
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Filter
from rehost.core.errors import TrackingError
from rehost.core.server import KernelLevel
from rehost.track import pins
from rehost.track.bpf import attach, system
from rehost.track.tracked import Tracked
from rehost.track.tracker import Tracker
from tests.agent.copying import lab
from tests.loopdisks import LoopDisk, LoopDisks

MIB = 1 << 20


@pytest.fixture
def full(disks: LoopDisks) -> LoopDisk:
    """Without a file system, so that all of it is used."""
    disk = disks.make(64 * MIB)
    write(disk, 0, 64 * MIB)
    return disk


def write(disk: LoopDisk, offset: int, length: int) -> None:
    with open(disk.path, "r+b") as file:
        file.seek(offset)
        file.write(os.urandom(length))
        file.flush()
        os.fsync(file.fileno())


class Writing(Filter):
    """Writes behind the reader's back: somewhere after each of the first reads."""

    def __init__(self, inner: Device, disk: LoopDisk, offsets: list[int]) -> None:
        super().__init__(inner)
        self._disk, self._offsets = disk, offsets

    def read_into(self, offset: int, buffer: memoryview) -> None:
        super().read_into(offset, buffer)
        if self._offsets:
            write(self._disk, self._offsets.pop(), 4096)


def test_the_last_rounds_read_what_was_written_meanwhile(full: LoopDisk, tmp_path: Path) -> None:
    offsets = [MIB, 40 * MIB, 63 * MIB]

    with lab(tmp_path, full) as site:
        report = site.carry_out(Settings(open_device=lambda path: Writing(open_source(path), full, offsets)))
        assert site.replica().read_bytes() == full.image.read_bytes()
    baseline, *others = report.rounds
    assert baseline.read >= 64 * MIB
    assert sum(round_.read for round_ in others) <= 3 * (256 << 10)
    assert full.number not in pins.numbers_kept()


def test_the_reason_is_told_where_writes_are_not_tracked(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(60 * MIB, "ext4")

    def refuse(number: int) -> Tracker:
        raise TrackingError("typed programs: the kernel refuses: bpf: Operation not permitted")

    with lab(tmp_path, disk) as site:
        report = site.carry_out(Settings(suspects=lambda: Tracked(refuse)))
    assert report.consistency[0].reason.endswith(
        "writes are not tracked: typed programs: the kernel refuses: bpf: Operation not permitted"
    )


def test_what_the_kernel_allows_is_told(disks: LoopDisks, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.why_untracked.__wrapped__() == ""

    def refuse(*_: object) -> int:
        raise OSError(1, "bpf: Operation not permitted")

    monkeypatch.setattr(system, "create_map", refuse)
    why = host.why_untracked.__wrapped__()
    assert "Operation not permitted" in why
    assert attach.TYPED.name in why
    found = inventory.collect([disks.make(MIB).path], Host(why_untracked=lambda: why))
    assert (found.kernel_level, found.untracked) == (KernelLevel.BLOCKS, why)
