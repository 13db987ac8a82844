"""Disks that do not give some sectors: real I/O errors, and what a run makes of them."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.agent.copy.run import Settings
from rehost.agent.copy.salvage import MOST, Salvage, place_of
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Fail, Filter, Operation, Throttle
from rehost.block.memory import MemoryDevice
from rehost.core.agentapi import Progress, RunOptions, Unreadable, UnreadableExtent
from rehost.core.errors import RehostError, SourceReadError
from rehost.core.extent import Extent
from rehost.core.server import Disk, Partition
from tests.agent.copying import lab
from tests.baddisk import BadDisk, bad_disk
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.receive.site import root_of

MIB = 1 << 20
SIZE = 24 * MIB
ZERO = RunOptions(unreadable=Unreadable.ZERO)
BAD = ((5 * MIB, 5 * MIB + 4096), (9 * MIB - 8192, 9 * MIB + 4096))


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[BadDisk]:
    with bad_disk(tmp_path, SIZE) as made:
        yield made


def with_zeroes(disk: LoopDisk, *ranges: tuple[int, int]) -> bytes:
    content = bytearray(disk.image.read_bytes())
    for start, end in ranges:
        content[start:end] = bytes(end - start)
    return bytes(content)


class Doing(Filter):
    """Does something once, before the first large read of the round after the first."""

    def __init__(self, inner: Device, reads: int, action: list) -> None:
        super().__init__(inner)
        self._reads, self._action = reads, action

    def before(self, operation: Operation, offset: int, length: int) -> None:
        self._reads -= 1
        if self._reads < 0 and self._action:
            self._action.pop()()


def test_a_run_fails_with_the_place(bad: BadDisk, disks: LoopDisks, tmp_path: Path) -> None:
    run("mkfs.ext4", "-q", bad.disk.path)
    mount = disks.mount(bad.disk.path)
    bad.spoil((16384, 20480))  # in the file system's own tables
    with lab(tmp_path, bad.disk) as site, pytest.raises(SourceReadError) as refused:
        site.carry_out()
    told = f"cannot read 4096 bytes at 16384 of {bad.disk.path}: Input/output error"
    assert refused.value.what == f"{told} ({bad.disk.path} ext4 on {mount})"
    assert '{"unreadable":"zero"}' in refused.value.advice


def test_a_run_goes_on_with_zeroes_and_a_list(bad: BadDisk, tmp_path: Path) -> None:
    bad.spoil(*BAD)
    seen: list[Progress] = []
    slowly = Settings(open_device=lambda path: Throttle(open_source(path), 12.0 * MIB))
    with lab(tmp_path, bad.disk, options=ZERO) as site:
        report = site.carry_out(slowly, progress=seen.append)
        expected = with_zeroes(bad.disk, *BAD)
        assert site.replica().read_bytes() == expected
        assert report.roots == (root_of(expected).hex(),)
    assert report.unreadable == tuple(UnreadableExtent(0, start, end, "") for start, end in BAD)
    assert seen[-1].disks[0].unreadable == sum(end - start for start, end in BAD)


def test_what_can_be_read_in_a_later_round_is_copied_after_all(bad: BadDisk, tmp_path: Path) -> None:
    bad.spoil(*BAD)

    def heal() -> None:
        bad.spoil(BAD[0])

    baseline_reads = SIZE // MIB + 3 * 256  # three reads of a MiB are repeated in pieces, at most
    with lab(tmp_path, bad.disk, options=RunOptions(streams=1, unreadable=Unreadable.ZERO)) as site:
        report = site.carry_out(
            Settings(open_device=lambda path: Doing(open_source(path), baseline_reads, [heal]))
        )
        assert site.replica().read_bytes() == with_zeroes(bad.disk, BAD[0])
    assert [(lost.start, lost.end) for lost in report.unreadable] == [BAD[0]]


def test_a_disk_that_stops_to_answer_is_no_disk_of_zeroes(bad: BadDisk, tmp_path: Path) -> None:
    settings = Settings(open_device=lambda path: Doing(open_source(path), 8, [lambda: bad.spoil((0, SIZE))]))
    with (
        lab(tmp_path, bad.disk, options=ZERO) as site,
        pytest.raises(SourceReadError, match="does not answer any more"),
    ):
        site.carry_out(settings)


DISK = Disk(
    0,
    "/dev/sda",
    2 * MOST,
    partitions=(
        Partition(0, "/dev/sda1", MIB, MIB, "ext4", mount="/boot"),
        Partition(1, "/dev/sda2", 2 * MIB, MIB),
    ),
)


def nothing() -> None:
    pass


def salvage(size: int, lost: Extent, check=nothing) -> Salvage:
    """A disk of ones of which some bytes are lost."""
    inner = MemoryDevice(size)
    inner.write(0, b"\1" * size)

    def fault(operation: Operation, offset: int, length: int) -> RehostError | None:
        if offset >= lost.end or offset + length <= lost.start:
            return None
        try:
            raise SourceReadError(f"cannot read {length} bytes at {offset}") from OSError(errno.EIO, "I/O")
        except SourceReadError as error:
            return error

    return Salvage(Fail(inner, fault), DISK, Unreadable.ZERO, check)


def test_the_list_is_by_the_last_read_of_each_place() -> None:
    disk = salvage(8 * MIB, Extent(MIB, MIB + 8192))
    buffer = memoryview(bytearray(2 * MIB))
    disk.read_into(0, buffer)
    assert disk.unreadable == (Extent(MIB, MIB + 8192),)
    assert bytes(buffer) == b"\1" * MIB + bytes(8192) + b"\1" * (MIB - 8192)
    disk.inner = MemoryDevice(8 * MIB)  # repaired
    disk.read_into(MIB + 4096, buffer[:MIB])
    assert disk.unreadable == (Extent(MIB, MIB + 4096),)


def test_a_disk_that_fails_as_a_whole_is_not_salvaged() -> None:
    disk = salvage(2 * MOST, Extent(MIB, 2 * MOST))
    buffer = memoryview(bytearray(MIB))
    with pytest.raises(SourceReadError, match="it fails as a whole"):
        for place in range(2 * MOST // MIB):
            disk.read_into(place * MIB, buffer)
    assert place * MIB == MIB + MOST


def test_a_stop_does_not_wait_for_a_failing_disk() -> None:
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise InterruptedError

    disk = salvage(8 * MIB, Extent(MIB, 2 * MIB), check)
    with pytest.raises(InterruptedError):
        disk.read_into(MIB, memoryview(bytearray(MIB)))


def test_the_place_is_told_by_partition() -> None:
    assert place_of(DISK, Extent(0, 4096)) == ""
    assert place_of(DISK, Extent(MIB, MIB + 4096)) == "/dev/sda1 ext4 on /boot"
    assert place_of(DISK, Extent(2 * MIB - 4096, 2 * MIB + 4096)) == "/dev/sda1 ext4 on /boot; /dev/sda2"
