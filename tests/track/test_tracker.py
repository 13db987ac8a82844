"""The tracker on real disks: what it sees, what it survives, and when it says that it cannot be relied on."""

import errno
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.block.linux import aligned_buffer
from rehost.core.errors import TrackingError
from rehost.core.extent import Extent
from rehost.track import ladder, pins
from rehost.track.bpf import attach, system
from rehost.track.bpf.attach import Rung
from rehost.track.bpf.programs import CELLS
from rehost.track.kernelmaps import cell_size_for, possible_cpus
from rehost.track.tracker import Tracker
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.processes import line_of, python

MIB = 1 << 20
SIZE = 700 * MIB


@pytest.fixture(params=[attach.TYPED, attach.CLASSIC], ids=["typed", "classic"])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.param
    return found


@pytest.fixture
def disk(disks: LoopDisks) -> Iterator[LoopDisk]:
    made = disks.make(SIZE)
    yield made
    ladder.forget(made.number)


@pytest.fixture
def tracker(disk: LoopDisk, rung: Rung) -> Iterator[Tracker]:
    found = ladder.track(disk.number, [rung])
    yield found
    found.stop()


def write(disk: LoopDisk, offset: int, length: int = 4096, *, direct: bool = False) -> None:
    content = aligned_buffer(length)
    content[:] = os.urandom(length)
    fd = os.open(disk.path, os.O_WRONLY | (os.O_DIRECT if direct else 0))
    os.pwrite(fd, content, offset)
    os.fsync(fd)
    os.close(fd)


def cells(tracker: Tracker, *offsets: int) -> list[Extent]:
    """The cells in which bytes lie."""
    cell = tracker.maps.cell
    return [Extent(offset // cell * cell, offset // cell * cell + cell) for offset in offsets]


@pytest.mark.parametrize(
    ("gib", "finest", "kib"),
    [
        (1, 16, 16),
        (64, 16, 16),
        (65, 16, 32),
        (1024, 16, 256),
        (1025, 16, 512),
        (16 << 10, 16, 1024),
        (1, 256, 256),
        (1025, 256, 512),
        (16 << 10, 256, 1024),
    ],
)
def test_cells_are_as_fine_as_16_mib_allow_and_no_coarser_than_chunks(
    gib: int, finest: int, kib: int
) -> None:
    assert cell_size_for(gib << 30, finest << 10) == kib << 10


def test_each_write_marks_its_cell(tracker: Tracker, disk: LoopDisk) -> None:
    epoch = tracker.close_epoch()
    write(disk, 0)
    write(disk, 100 * MIB, direct=True)
    cell = tracker.maps.cell
    write(disk, 300 * MIB + cell - 4096, 8192, direct=True)  # over a cell's end
    write(disk, SIZE - 4096, direct=True)
    over = Extent(300 * MIB, 300 * MIB + 2 * cell)
    assert tracker.since(epoch) == [*cells(tracker, 0, 100 * MIB), over, *cells(tracker, SIZE - 1)]
    assert tracker.doubt() == ""


def test_over_the_end_of_a_group(tracker: Tracker, disk: LoopDisk) -> None:
    epoch = tracker.close_epoch()
    cell = tracker.maps.cell
    end = CELLS * cell
    write(disk, end - 4096, 8192, direct=True)
    assert tracker.since(epoch) == [Extent(end - cell, end + cell)]


def test_reads_mark_nothing(tracker: Tracker, disk: LoopDisk) -> None:
    epoch = tracker.close_epoch()
    run("dd", f"if={disk.path}", "of=/dev/null", "bs=1M", "count=50", "iflag=direct")
    assert tracker.since(epoch) == []
    assert tracker.maps.count(1).requests >= 50


def test_epochs_tell_only_what_came_after_them(tracker: Tracker, disk: LoopDisk) -> None:
    first = tracker.close_epoch()
    write(disk, 0)
    second = tracker.close_epoch()
    write(disk, MIB)
    third = tracker.close_epoch()
    assert tracker.since(first) == cells(tracker, 0, MIB)
    assert tracker.since(second) == cells(tracker, MIB)
    assert tracker.since(third) == []


@pytest.mark.parametrize("command", [("blkdiscard",), ("blkdiscard", "--zeroout")])
def test_discards_and_zeroes_are_writes(tracker: Tracker, disk: LoopDisk, command: tuple[str, ...]) -> None:
    epoch = tracker.close_epoch()
    run(*command, "-o", str(10 * MIB), "-l", str(2 * MIB), disk.path)
    assert tracker.since(epoch) == [Extent(10 * MIB, 12 * MIB)]
    assert tracker.doubt() == ""


@pytest.mark.parametrize(
    ("first", "count"),
    [
        (0, 2800),  # all of the disk with the largest cells
        (1024, 1024),  # a group
        (1023, 1026),  # a group and a cell before and after
        (33, 100),  # no group, blocks
        (31, 66),  # one cell, two blocks, one cell
        (1000, 65),  # over the end of a group
        (5, 2000),
        (2000, 799),
    ],
)
def test_long_requests_mark_exactly_what_they_touch(
    tracker: Tracker, disk: LoopDisk, first: int, count: int
) -> None:
    epoch = tracker.close_epoch()
    cell = tracker.maps.cell
    run("blkdiscard", "-o", str(first * cell), "-l", str(count * cell), disk.path)
    assert tracker.since(epoch) == [Extent(first * cell, (first + count) * cell)]
    assert tracker.maps.count(1).sectors == count * cell // 512
    assert tracker.doubt() == ""


def test_the_longest_requests_mark_all_that_they_touch(disks: LoopDisks, rung: Rung) -> None:
    """The kernel cuts them below 4 GiB: with the smallest cells they touch the most groups."""
    disk = disks.make(9 << 30)
    tracker = ladder.track(disk.number, [rung])
    try:
        epoch, cell = tracker.close_epoch(), tracker.maps.cell
        start, end = 5 * cell, (9 << 30) - 3 * cell
        run("blkdiscard", "-o", str(start), "-l", str(end - start), disk.path)
        assert tracker.since(epoch) == [Extent(start, end)]
        assert tracker.doubt() == ""
    finally:
        tracker.stop()


def test_another_disks_writes_are_not_seen(tracker: Tracker, disks: LoopDisks) -> None:
    other = disks.make(10 * MIB)
    epoch = tracker.close_epoch()
    write(other, MIB)
    assert tracker.since(epoch) == []
    assert tracker.doubt() == ""


def test_maps_that_cannot_be_mapped_are_asked(
    disk: LoopDisk, rung: Rung, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, length: int, *, writable: bool = False) -> None:
        raise OSError(errno.EINVAL, "as before Linux 5.5")

    monkeypatch.setattr(system, "map_memory", refuse)
    tracker = ladder.track(disk.number, [rung])
    try:
        epoch = tracker.close_epoch()
        write(disk, 300 * MIB)
        assert tracker.since(epoch) == cells(tracker, 300 * MIB)
        assert tracker.close_epoch() == epoch + 1
    finally:
        tracker.stop()


def detach(tracker: Tracker, row: int) -> None:
    """The kernel takes its time."""
    os.close(tracker.attached[row].link)
    (tracker.shelf.folder / f"link{row}").unlink()
    tracker.attached[row] = replace(tracker.attached[row], link=os.open("/dev/null", os.O_RDONLY))
    seen = -1
    while (now := tracker.maps.count(row).requests) != seen:
        seen = now
        time.sleep(0.2)
        run("dd", f"if={tracker.disk.path}", "of=/dev/null", "count=1", "iflag=direct")


def test_a_write_that_only_the_kernel_counted_is_noticed(tracker: Tracker, disk: LoopDisk) -> None:
    assert tracker.doubt() == ""
    for row in range(1, len(tracker.attached)):
        detach(tracker, row)
    write(disk, MIB, direct=True)
    assert "counted writes that the tracker did not see" in tracker.doubt()
    assert tracker.doubt() == ""  # told once: from here on it counts anew


def test_one_program_that_is_left_out_does_no_harm(disk: LoopDisk) -> None:
    tracker = ladder.track(disk.number, [attach.TYPED])
    try:
        epoch = tracker.close_epoch()
        detach(tracker, 1)
        write(disk, MIB, direct=True)
        assert tracker.since(epoch) == cells(tracker, MIB)
        assert tracker.doubt() == ""
    finally:
        tracker.stop()


def test_another_process_cannot_take_it(tracker: Tracker, disk: LoopDisk) -> None:
    with pytest.raises(TrackingError, match="another process"):
        ladder.track(disk.number)


CHILD = """
import os, sys
from rehost.track import ladder
from rehost.track.bpf import attach
rung = {"typed programs": attach.TYPED, "classic tracepoints": attach.CLASSIC}[sys.argv[2]]
tracker = ladder.track(int(sys.argv[1]), [rung])
print(tracker.close_epoch(), flush=True)
sys.stdin.read()
"""


def killed(disk: LoopDisk, rung: Rung) -> int:
    """A process that tracked the disk and was killed; the epoch that it began."""
    with python("-c", CHILD, disk.number, rung.name) as process:
        return int(line_of(process))


def test_tracking_survives_kill(disk: LoopDisk, rung: Rung) -> None:
    epoch = killed(disk, rung)
    write(disk, 20 * MIB)
    tracker = ladder.track(disk.number)
    try:
        assert tracker.resumed
        assert tracker.rung == rung.name
        assert tracker.since(epoch) == cells(tracker, 20 * MIB)
        write(disk, 30 * MIB)
        assert tracker.since(epoch) == cells(tracker, 20 * MIB, 30 * MIB)
        assert tracker.doubt() == ""
    finally:
        tracker.stop()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("disk", "boot"), "another boot"),
        (("disk", "sequence"), "1"),
        (("disk", "size"), 5),
        (("disk", "inode"), 5),
        (("maps", 1), 5),
        (("links", 0), 5),
        (("cell",), 65536),
        (("rung",), "something newer"),
    ],
)
def test_another_token_is_another_tracker(disk: LoopDisk, path: tuple[str | int, ...], value: object) -> None:
    killed(disk, attach.TYPED)
    file = shelf_of(disk).file
    token = json.loads(file.read_text())
    inner = token
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    file.write_text(json.dumps(token))
    begun_anew(disk)


@pytest.mark.parametrize("name", ["cells", "counts", "link2", "program0"])
def test_a_missing_pin_is_a_lost_tracker(disk: LoopDisk, name: str) -> None:
    killed(disk, attach.TYPED)
    (shelf_of(disk).folder / name).unlink()
    begun_anew(disk)


def test_other_media_in_the_same_disk_are_another_disk(disk: LoopDisk, tmp_path: Path) -> None:
    killed(disk, attach.TYPED)
    run("losetup", "--detach", disk.path)
    run("losetup", disk.path, disk.image)
    begun_anew(disk)


def shelf_of(disk: LoopDisk) -> pins.Shelf:
    shelf = pins.Shelf(disk.number)
    shelf.close()
    return shelf


def begun_anew(disk: LoopDisk) -> None:
    tracker = ladder.track(disk.number)
    assert not tracker.resumed
    assert tracker.since(1) == []
    tracker.stop()


def test_nothing_is_left(disk: LoopDisk, rung: Rung) -> None:
    killed(disk, rung)
    assert disk.number in pins.numbers_kept()
    ladder.forget(disk.number)
    assert disk.number not in pins.numbers_kept()


def test_a_disk_that_cannot_be_seen_is_not_tracked(disks: LoopDisks) -> None:
    with pytest.raises(TrackingError, match="there is no disk 4095:7"):
        ladder.track(os.makedev(4095, 7))
    disk = disks.make(50 * MIB)
    run("sh", "-c", f"printf '2048\\n' | sfdisk -q {disk.path}")
    run("partx", "--update", disk.path)
    with pytest.raises(TrackingError, match="is a partition"):
        ladder.track(os.stat(f"{disk.path}p1").st_rdev)


def test_reasons_of_all_rungs(disk: LoopDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_types() -> None:
        raise LookupError("the kernel does not describe its types (no BTF)")

    def no_event(name: str) -> None:
        raise LookupError(f"the kernel has no tracepoint {name}")

    monkeypatch.setattr(attach, "types", no_types)
    assert ladder.why_not() == ""
    monkeypatch.setattr(attach, "tracepoint", no_event)
    expected = "typed programs: the kernel does not describe .* classic tracepoints: .* block_rq_issue"
    with pytest.raises(TrackingError, match=expected):
        ladder.track(disk.number)
    assert "no BTF" in ladder.why_not()


def test_the_verifiers_word_is_told() -> None:
    with pytest.raises(OSError, match=r"last insn is not an exit|R0"):
        system.load_program(system.TRACEPOINT, bytes.fromhex("b700000000000000"), "broken")


def test_the_number_of_possible_cpus() -> None:
    assert [possible_cpus(text) for text in ("0\n", "0-3\n", "0,2-5\n")] == [1, 4, 5]
