"""Runs whose writes are tracked: what they read, and what they say."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehost.agent.config import Config
from rehost.agent.copy.run import Settings
from rehost.agent.survey import host, inventory
from rehost.agent.survey.host import Host
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Filter
from rehost.core.agentapi import RunOptions
from rehost.core.errors import NotConvergingError, TrackingError
from rehost.core.round import NotConverging
from rehost.core.server import KernelLevel
from rehost.track import pins
from rehost.track.bpf import attach, system
from rehost.track.tracked import Tracked
from rehost.track.tracker import Tracker
from tests.agent.copying import lab
from tests.loopdisks import LoopDisk, LoopDisks, write

MIB = 1 << 20


@pytest.fixture
def full(disks: LoopDisks) -> LoopDisk:
    """Without a file system, so that all of it is used."""
    disk = disks.make(64 * MIB)
    write(disk, 0, 64 * MIB)
    return disk


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


@contextmanager
def written(mount: Path, size: int) -> Iterator[None]:
    """A file of `size` bytes there is written over again and again, as fast as can be."""
    ended = threading.Event()
    (mount / "busy").write_bytes(os.urandom(size))

    def write_on() -> None:
        with (mount / "busy").open("r+b") as file:
            while not ended.is_set():
                file.seek(0)
                file.write(os.urandom(size))
                os.fdatasync(file.fileno())

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("what", NotConverging)
def test_a_disk_that_is_written_faster_than_it_is_sent(
    disks: LoopDisks, tmp_path: Path, what: NotConverging
) -> None:
    disk = disks.make(200 * MIB, "ext4")
    assert disk.mount is not None
    options = RunOptions(
        bandwidth_limit=20 << 10, compress_level=0, streams=1, freeze_target=0.1, not_converging=what
    )
    with lab(tmp_path, disk, options=options) as site, written(disk.mount, 50 * MIB):
        if what is NotConverging.FAIL:
            with pytest.raises(
                NotConvergingError, match=r"not converging: .*/s are written and .*/s are sent"
            ):
                site.carry_out()
        else:
            report = site.carry_out()
            assert report.freeze_reason.startswith("not converging: ")
            assert report.rounds[-2].backlog > 16 * MIB
            assert len(report.rounds) < 12


def test_the_owner_of_the_server_has_the_last_word(full: LoopDisk, tmp_path: Path) -> None:
    config = Config(most_rounds=1, bandwidth_limit=1 << 20)
    with lab(tmp_path, full) as site:
        report = site.carry_out(Settings(config=config))
    assert [limit.split(":")[0] for limit in report.limits] == ["most_rounds", "bandwidth_limit"]


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
