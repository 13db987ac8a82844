"""The seam over the tracker: what is suspect, and what takes over where writes are not tracked."""

import os
from collections.abc import Iterator

import pytest

from rehost.core.errors import TrackingError
from rehost.core.extent import Extent
from rehost.track import ladder, pins
from rehost.track.bookmark import Bookmark
from rehost.track.suspects import Suspicion
from rehost.track.tracked import Tracked
from rehost.track.tracker import Tracker
from tests.loopdisks import LoopDisk, LoopDisks, run

MIB = 1 << 20
CELL = 16 << 10


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    return disks.make(64 * MIB)


@pytest.fixture
def trackers() -> list[Tracker]:
    return []


@pytest.fixture
def suspects(trackers: list[Tracker]) -> Iterator[Tracked]:
    def track(number: int) -> Tracker:
        trackers.append(ladder.track(number))
        return trackers[-1]

    tracked = Tracked(track)
    yield tracked
    tracked.close()


def write(disk: LoopDisk, offset: int) -> None:
    run(
        "dd",
        "if=/dev/urandom",
        f"of={disk.path}",
        "bs=4096",
        "count=1",
        "oflag=direct",
        f"seek={offset // 4096}",
    )


def cell(offset: int) -> Extent:
    return Extent(offset // CELL * CELL, offset // CELL * CELL + CELL)


def test_only_what_was_written_since_the_last_complete_pass(suspects: Tracked, disk: LoopDisk) -> None:
    assert suspects.begin(disk.number).extents is None
    write(disk, 5 * MIB)  # inside the pass
    suspects.complete(disk.number)
    write(disk, 9 * MIB)
    found = suspects.begin(disk.number)
    assert found.extents == (cell(5 * MIB), cell(9 * MIB))
    assert "writes were tracked (typed programs): 32768 bytes in 2 places" in found.reason
    write(disk, 20 * MIB)
    # That pass was not completed: its suspects are suspect again.
    assert suspects.begin(disk.number).extents == (cell(5 * MIB), cell(9 * MIB), cell(20 * MIB))
    suspects.complete(disk.number)
    assert suspects.begin(disk.number).extents == ()


def test_what_was_written_meanwhile_is_told_at_any_time(suspects: Tracked, disk: LoopDisk) -> None:
    assert suspects.written(disk.number) is None
    suspects.begin(disk.number)
    assert suspects.written(disk.number) == []
    write(disk, 5 * MIB)
    assert suspects.written(disk.number) == [cell(5 * MIB)]
    suspects.complete(disk.number)
    write(disk, 9 * MIB)
    assert suspects.written(disk.number) == [cell(5 * MIB), cell(9 * MIB)]
    suspects.begin(disk.number)
    assert suspects.written(disk.number) == []
    suspects.close()
    assert suspects.written(disk.number) in ((), None)  # as the rung below knows it


def test_one_doubt_costs_one_comparison(
    suspects: Tracked, disk: LoopDisk, trackers: list[Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects.begin(disk.number)
    suspects.complete(disk.number)
    write(disk, 5 * MIB)
    with monkeypatch.context() as context:
        context.setattr(Tracker, "_uncounted", lambda tracker: "the kernel counted more")
        found = suspects.begin(disk.number)
    assert found.extents is None
    assert found.reason == "compared by digest; writes were tracked, but the kernel counted more"
    write(disk, 9 * MIB)
    suspects.complete(disk.number)
    found = suspects.begin(disk.number)
    assert found.extents == (cell(9 * MIB),)
    assert found.reason.endswith("; a pass before compared by digest: the kernel counted more")


def test_a_doubt_stays_until_a_pass_that_covers_it_is_complete(
    suspects: Tracked, disk: LoopDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects.begin(disk.number)
    suspects.complete(disk.number)
    with monkeypatch.context() as context:
        context.setattr(Tracker, "_uncounted", lambda tracker: "the kernel counted more")
        write(disk, 5 * MIB)
        assert suspects.begin(disk.number).extents is None
    assert suspects.begin(disk.number).extents is None  # the pass before broke off
    suspects.complete(disk.number)
    assert suspects.begin(disk.number).extents == ()


def later(disk: LoopDisk, bookmark: Bookmark) -> tuple[str, Suspicion]:
    """What another run, or another process, makes of a bookmark."""
    suspects = Tracked()
    try:
        return suspects.resume(disk.number, bookmark), suspects.begin(disk.number)
    finally:
        suspects.leave()


def bookmarked(suspects: Tracked, disk: LoopDisk) -> Bookmark:
    """A complete pass, and a write in it."""
    suspects.begin(disk.number)
    write(disk, 5 * MIB)
    suspects.complete(disk.number)
    found = suspects.bookmark(disk.number)
    assert found is not None
    return found


def test_a_later_run_resumes_from_a_bookmark(suspects: Tracked, disk: LoopDisk) -> None:
    bookmark = bookmarked(suspects, disk)
    suspects.leave()
    write(disk, 9 * MIB)  # while nobody looks
    for _ in range(2):  # a run that does not come to its end changes nothing
        why, found = later(disk, bookmark)
        assert why == ""
        assert found.extents == (cell(5 * MIB), cell(9 * MIB))
    ladder.forget(disk.number)
    why, found = later(disk, bookmark)
    assert why == "tracking was lost since the run before"
    assert found.extents is None
    ladder.forget(disk.number)


def test_a_doubt_voids_the_bookmarks_before_it(
    suspects: Tracked, disk: LoopDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookmark = bookmarked(suspects, disk)
    suspects.leave()
    with monkeypatch.context() as context:
        context.setattr(Tracker, "_uncounted", lambda tracker: "the kernel counted more")
        assert later(disk, bookmark)[1].extents is None
    why, found = later(disk, bookmark)
    assert why == "not every write since the run before was seen"
    assert found.extents is None
    ladder.forget(disk.number)


def test_a_doubt_about_a_disk_that_seems_idle_compares_all_of_it_until_a_pass_is_complete(
    suspects: Tracked, disk: LoopDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that come past the block layer are in no counter."""
    for _ in range(2):
        suspects.begin(disk.number)
        suspects.complete(disk.number)
    with monkeypatch.context() as context:
        context.setattr(Tracker, "_passed", lambda tracker: "1 commands with data came past the block layer")
        found = suspects.begin(disk.number)
    assert found.extents is None
    assert found.reason.endswith("1 commands with data came past the block layer")
    assert suspects.begin(disk.number).extents is None
    suspects.complete(disk.number)
    assert suspects.begin(disk.number).extents == ()


def test_a_disk_that_is_another_one_is_not_tracked_any_more(
    suspects: Tracked, disk: LoopDisk, trackers: list[Tracker]
) -> None:
    suspects.begin(disk.number)
    suspects.complete(disk.number)
    run("losetup", "--detach", disk.path)
    run("losetup", disk.path, disk.image)
    for _ in range(2):
        found = suspects.begin(disk.number)
        assert found.extents is None
        suspects.complete(disk.number)
    assert "is not the disk any more" in found.reason
    assert disk.number not in pins.numbers_kept()


def test_the_rung_below_knows_idle_disks() -> None:
    def refuse(number: int) -> Tracker:
        raise TrackingError("the kernel refuses: bpf: Operation not permitted")

    suspects = Tracked(refuse)
    found = suspects.begin(os.makedev(4095, 7))
    assert found.extents is None
    assert found.reason == (
        "compared by digest; writes are not tracked: the kernel refuses: bpf: Operation not permitted"
    )


def test_the_end_of_a_run_ends_the_tracking(suspects: Tracked, disk: LoopDisk) -> None:
    suspects.begin(disk.number)
    assert disk.number in pins.numbers_kept()
    suspects.close()
    assert disk.number not in pins.numbers_kept()
