"""Whole runs: what is copied of real disks, how it is reported, and the errors that people get."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.agent.copy.bandwidth import minute_of_day
from rehost.agent.copy.run import Settings
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Count, Fail, Filter, Operation, Throttle
from rehost.core.agentapi import Progress, RunOptions
from rehost.core.bandwidth import DAY, Window
from rehost.core.errors import (
    RehostError,
    RunStoppedError,
    SourceDiskChangedError,
    SourceReadError,
    TicketError,
    TicketExpiredError,
)
from rehost.core.round import RoundKind
from rehost.receive.admissions import CONNECTIONS, FOR_FIRST
from rehost.track.suspects import IdleDisks
from tests.agent.copying import lab
from tests.agent.proxy import proxy_to
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.receive.site import root_of

MIB = 1 << 20
LOOP_CHANGE_FD = 0x4C06


def counted(devices: list[Count]) -> Callable[[Path], Device]:
    """Opens devices that count, and keeps them."""

    def open_device(path: Path) -> Device:
        devices.append(Count(open_source(path)))
        return devices[-1]

    return open_device


def noise(path: str, offset: int, length: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(os.urandom(length))
        file.flush()
        os.fsync(file.fileno())


def partitioned(disks: LoopDisks) -> LoopDisk:
    """ext4, swap and an unknown partition, 60 MiB each; something in the gap before the first."""
    disk = disks.make(190 * MIB)
    table = "2048,122880\\n,122880,S\\n,122880\\n"
    run("sh", "-c", f"printf '{table}' | sfdisk -q {disk.path}")
    run("partx", "--update", disk.path)
    noise(disk.path, 512, 100_000)
    run("mkfs.ext4", "-q", f"{disk.path}p1")
    noise(f"{disk.path}p2", 10 * MIB, MIB)
    run("mkswap", f"{disk.path}p2")
    noise(f"{disk.path}p3", 5 * MIB, MIB)
    return disk


def test_a_partitioned_disk_and_a_data_disk(disks: LoopDisks, tmp_path: Path) -> None:
    system, data = partitioned(disks), disks.make(300 * MIB, "xfs")
    mount = disks.mount(f"{system.path}p1")
    (mount / "file").write_bytes(b"content" * 10_000)
    assert data.mount is not None
    (data.mount / "file").write_bytes(os.urandom(3 * MIB))
    images = [tmp_path / "system.img", tmp_path / "data.img"]

    def while_frozen() -> None:
        for disk, image in zip((system, data), images, strict=True):
            run("dd", f"if={disk.path}", f"of={image}", "bs=1M", "iflag=direct", "conv=sparse")

    with lab(tmp_path, system, data) as site:
        report = site.carry_out(Settings(while_frozen=while_frozen))
        frozen, copied = images[0].read_bytes(), site.replica().read_bytes()
        assert copied[:MIB] == frozen[:MIB]
        assert copied[61 * MIB : 61 * MIB + 4096] == frozen[61 * MIB : 61 * MIB + 4096]
        assert copied[61 * MIB + 4096 : 121 * MIB] == bytes(60 * MIB - 4096)  # swap is not copied
        assert copied[121 * MIB :] == frozen[121 * MIB :]
        assert report.roots[0] == root_of(copied).hex()
        assert [(c.device, c.way) for c in report.consistency] == [
            ("0_0", "frozen"),
            ("0_1", "swap-header"),
            ("0_2", "unmounted"),
            ("1_0", "frozen"),
        ]
        assert [r.kind for r in report.rounds] == [RoundKind.BASELINE, RoundKind.DELTA, RoundKind.FINAL]
        assert 0 < report.sent < report.read
        assert report.used < 3 * 60 * MIB
        assert 0 < report.freeze_seconds < report.ended - report.started
        with disks.attached(site.replica()) as device, disks.mounted(device, "-o", f"offset={MIB}") as copy:
            assert (copy / "file").read_bytes() == b"content" * 10_000


def test_a_partition_that_someone_holds_is_compared(disks: LoopDisks, tmp_path: Path) -> None:
    disk = partitioned(disks)
    holder = os.open(f"{disk.path}p3", os.O_RDONLY | os.O_EXCL)  # as LVM, md or ZFS do
    try:
        with lab(tmp_path, disk) as site:
            report = site.carry_out()
    finally:
        os.close(holder)
    assert [c.way for c in report.consistency] == ["unmounted", "swap-header", "compared"]
    assert "holds the partition" in report.consistency[2].reason


def test_what_a_program_wrote_to_a_partition_and_did_not_sync_is_copied(
    disks: LoopDisks, tmp_path: Path
) -> None:
    disk = partitioned(disks)
    with open(f"{disk.path}p3", "r+b") as file:

        def open_device(path: Path) -> Device:
            file.seek(20 * MIB)
            file.write(b"unsynced" * 10_000)
            file.flush()
            return open_source(path)

        with lab(tmp_path, disk) as site:
            site.carry_out(Settings(open_device=open_device))
            assert b"unsynced" * 10_000 in site.replica().read_bytes()


def test_a_disk_whose_end_is_no_whole_chunk_or_page(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(10 * MIB + 4096 + 512)
    noise(disk.path, 10 * MIB - 1000, 1000 + 4096 + 512)
    with lab(tmp_path, disk) as site:
        report = site.carry_out()
        assert site.replica().read_bytes() == disk.image.read_bytes()
        assert report.roots == (root_of(disk.image.read_bytes()).hex(),)


def test_what_is_deleted_becomes_zero_in_the_replica(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(60 * MIB, "ext4")
    assert disk.mount is not None
    (disk.mount / "secret").write_bytes(b"do not copy this" * 65536)
    os.sync()
    with lab(tmp_path, disk) as site:
        site.carry_out()
        assert b"do not copy this" in site.replica().read_bytes()
        (disk.mount / "secret").unlink()
        os.sync()
        report = site.carry_out()
        assert b"do not copy this" in disk.image.read_bytes() or report.rounds[0].changed > 0
        assert b"do not copy this" not in site.replica().read_bytes()


def test_an_idle_disk_is_read_once(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)
    noise(disk.path, 0, 32 * MIB)
    devices: list[Count] = []
    with lab(tmp_path, disk) as site:
        report = site.carry_out(Settings(open_device=counted(devices)))
        assert sum(device.bytes[Operation.READ] for device in devices) == 32 * MIB
        assert [past.read for past in report.rounds] == [32 * MIB, 0, 0]
        assert site.replica().read_bytes() == disk.image.read_bytes()


def test_a_mounted_btrfs_over_two_disks_is_frozen_and_read_whole(disks: LoopDisks, tmp_path: Path) -> None:
    one, two = disks.make(128 * MIB), disks.make(128 * MIB)
    run("mkfs.btrfs", "-q", one.path, two.path)
    mount = disks.mount(one.path)
    (mount / "file").write_bytes(os.urandom(MIB))
    with lab(tmp_path, one, two) as site:
        report = site.carry_out()
        assert [(c.device, c.way) for c in report.consistency] == [("0_0", "frozen"), ("1_0", "frozen")]
        assert report.used == 256 * MIB


class Restless(Filter):
    """Writes to the disk behind what is read, as many times as it is told."""

    def __init__(self, inner: Device, path: str, times: list[int]) -> None:
        super().__init__(inner)
        self._path, self._times = path, times

    def before(self, operation: Operation, offset: int, length: int) -> None:
        if offset == 0 and length > 4096 and self._times:
            self._times.pop()
            noise(self._path, 9 * MIB, 4096)


@pytest.mark.parametrize(("writes", "way"), [(0, "compared"), (4, "compared"), (1000, "unsettled")])
def test_what_cannot_freeze_is_compared_until_two_passes_agree(
    disks: LoopDisks, tmp_path: Path, writes: int, way: str
) -> None:
    content, image = tmp_path / "content", tmp_path / "squash.img"
    content.mkdir()
    (content / "file").write_bytes(os.urandom(MIB))
    run("mksquashfs", content, image)
    os.truncate(image, 10 * MIB)
    path = disks.attach(image)
    disk = LoopDisk(path, image, disks.mount(path))
    times = [0] * writes
    with lab(tmp_path, disk, options=RunOptions(streams=1)) as site:
        report = site.carry_out(
            Settings(
                open_device=lambda p: Restless(open_source(p), disk.path, times),
                suspects=IdleDisks,  # a tracker knows what to read, and the disk is left alone
            )
        )
        assert [c.way for c in report.consistency] == [way]
        if way == "compared":
            assert site.replica().read_bytes() == image.read_bytes()


def test_a_disk_that_cannot_be_read_is_named_with_the_place(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)

    def fault(operation: Operation, offset: int, length: int) -> RehostError | None:
        if offset <= 20 * MIB < offset + length:
            return SourceReadError(
                f"cannot read {length} bytes at {offset} of {disk.path}: Input/output error"
            )
        return None

    with lab(tmp_path, disk) as site, pytest.raises(SourceReadError, match=f"of {disk.path}: Input/output"):
        site.carry_out(Settings(open_device=lambda path: Fail(open_source(path), fault)))


def test_a_run_goes_on_with_the_streams_that_its_receiver_has_room_for(
    disks: LoopDisks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = disks.make(40 * MIB)
    noise(disk.path, 0, 40 * MIB)
    asked, most = CONNECTIONS, CONNECTIONS - FOR_FIRST
    with lab(tmp_path, disk, options=RunOptions(streams=asked)) as site:
        site.carry_out()
        assert site.replica().read_bytes() == disk.image.read_bytes()
        opened = [line["stream"] for line in site.site.log() if line["event"] == "connection opened"]
        assert len(opened) == len(set(opened))
        assert len(opened) in (most, most + 1)  # stream 0 has room of its own if others came first
    assert f"{len(opened)} of {asked} streams: the receiver has no room for more" in caplog.text


def test_the_edge_of_a_window_is_crossed_while_a_run_goes_on(
    disks: LoopDisks, tmp_path: Path, local_time: Callable[[int], None]
) -> None:
    """1 MB/s for the first seconds, which would take half a minute for all of it; then as fast as can be."""
    disk = disks.make(32 * MIB)
    noise(disk.path, 0, 32 * MIB)
    samples: list[tuple[int, int]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            samples.append((minute_of_day(), proxy.to_receiver))

    with lab(tmp_path, disk) as site, proxy_to(site.site.port) as proxy:
        local_time(_BEFORE_THE_EDGE)
        minute, following = minute_of_day(), (minute_of_day() + 1) % DAY
        site.options = RunOptions(compress_level=0, bandwidth_schedule=(Window(minute, following, 1024),))
        looking = threading.Thread(target=look)
        looking.start()
        try:
            site.carry_out(port=proxy.port)
        finally:
            ended.set()
            looking.join()
        assert site.replica().read_bytes() == disk.image.read_bytes()
    inside = [count for at, count in samples if at == minute]
    assert MIB // 2 < inside[-1] < (_BEFORE_THE_EDGE + 2) * MIB
    assert samples[-1][0] == following


_BEFORE_THE_EDGE = 8  # seconds


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Moves the local time so that so many seconds are left of its minute."""

    def move(left: int) -> None:
        monkeypatch.setenv("TZ", f"TEST-0:00:{(60 - left - int(time.time())) % 60:02}")
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def test_a_disk_that_grows_meanwhile_is_noticed(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)
    once: list[int] = []

    def grow(operation: Operation, offset: int, length: int) -> None:
        if not once:
            once.append(1)
            os.truncate(disk.image, 40 * MIB)
            run("losetup", "--set-capacity", disk.path)

    with (
        lab(tmp_path, disk) as site,
        pytest.raises(SourceDiskChangedError, match="had 33554432 bytes and has"),
    ):
        site.carry_out(Settings(open_device=lambda path: Fail(open_source(path), grow)))


def test_a_disk_that_is_gone_is_not_a_read_error(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)
    opened: list[int] = []

    def fault(operation: Operation, offset: int, length: int) -> RehostError | None:
        return SourceReadError("cannot read: Input/output error")

    def open_device(path: Path) -> Device:
        opened.append(1)
        if len(opened) > 2:  # the run's own, and the check before the first round
            raise SourceReadError(f"cannot open {path}: No such device or address")
        return Fail(open_source(path), fault)

    with lab(tmp_path, disk) as site, pytest.raises(SourceDiskChangedError, match="is gone"):
        site.carry_out(Settings(open_device=open_device))


def test_another_disk_of_the_same_size_is_noticed(disks: LoopDisks, tmp_path: Path) -> None:
    """Only a read-only loop device lets its file be changed while somebody reads it."""
    image, other = tmp_path / "one.img", tmp_path / "other.img"
    for path in (image, other):
        path.write_bytes(os.urandom(4 * MIB))
    once: list[int] = []

    with disks.attached(image, "--read-only") as path:
        disk = LoopDisk(path, image, None)

        def swap(operation: Operation, offset: int, length: int) -> None:
            if not once:
                once.append(1)
                with open(path, "rb") as device, other.open("rb") as file:
                    fcntl.ioctl(device, LOOP_CHANGE_FD, file.fileno())

        with (
            lab(tmp_path, disk) as site,
            pytest.raises(SourceDiskChangedError, match="was replaced by another one") as told,
        ):
            site.carry_out(Settings(open_device=lambda path: Fail(open_source(path), swap)))
        assert "attach the disk again" in told.value.advice


def test_a_repartitioned_disk_is_noticed(disks: LoopDisks, tmp_path: Path) -> None:
    disk = partitioned(disks)
    once: list[int] = []

    def shrink(operation: Operation, offset: int, length: int) -> None:
        if not once:
            once.append(1)
            run("delpart", disk.path, "3")

    with lab(tmp_path, disk) as site, pytest.raises(SourceDiskChangedError, match="was repartitioned"):
        site.carry_out(Settings(open_device=lambda path: Fail(open_source(path), shrink)))


def test_a_disk_that_appears_meanwhile_is_noticed(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)
    looks: list[int] = []

    def present() -> set[str]:
        looks.append(1)
        return {disk.path} if len(looks) < 3 else {disk.path, "/dev/sdx"}

    with lab(tmp_path, disk) as site:
        with pytest.raises(SourceDiskChangedError, match="did not have when the run began: /dev/sdx") as told:
            site.carry_out(Settings(present=present))
        assert "create a job that copies it too" in told.value.advice
        site.carry_out(Settings(present=lambda: {disk.path}))


def test_a_stopped_run_ends_soon_and_thaws(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(64 * MIB)
    noise(disk.path, 0, 64 * MIB)
    stop = threading.Event()

    def progress(figures: Progress) -> None:
        if figures.disks[0].done > 0:
            stop.set()

    settings = Settings(open_device=lambda path: Throttle(open_source(path), 8.0 * MIB))
    with lab(tmp_path, disk) as site, pytest.raises(RunStoppedError):
        site.carry_out(settings, progress=progress, stop=stop)


def test_progress_has_figures_of_every_disk(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(32 * MIB)
    noise(disk.path, 0, 32 * MIB)
    seen: list[Progress] = []
    settings = Settings(open_device=lambda path: Throttle(open_source(path), 12.0 * MIB))
    with lab(tmp_path, disk, options=RunOptions(compress_level=0)) as site:
        site.carry_out(settings, progress=seen.append)
    assert seen
    first = seen[0].disks[0]
    assert (first.disk, first.total) == (0, 32 * MIB)
    assert 0 < first.done <= first.total
    assert first.read >= first.done
    assert first.sent > 0
    assert any(figures.disks[0].rate > 0 for figures in seen)


@pytest.mark.parametrize(
    ("key", "expires", "error"), [(bytes(32), None, TicketError), (None, 5, TicketExpiredError)]
)
def test_a_bad_ticket_fails_at_once(
    disks: LoopDisks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: bytes | None,
    expires: int | None,
    error: type[RehostError],
) -> None:
    disk = disks.make(MIB)
    with lab(tmp_path, disk) as site:
        good = site.site.ticket
        changes = {"key": key} if key else {"expires": expires}
        monkeypatch.setattr(site.site, "ticket", lambda generation: good(generation, **changes))
        with pytest.raises(error):
            site.carry_out()


def test_an_assigned_disk_that_is_not_there(disks: LoopDisks, tmp_path: Path) -> None:
    disk, other = disks.make(MIB), disks.make(MIB)
    with lab(tmp_path, disk) as site:
        inventory_of_other = replace(site, disks=(other,))
        inventory_of_other.site.shapes = site.site.shapes
        os.truncate(other.image, 2 * MIB)
        run("losetup", "--set-capacity", other.path)
        with pytest.raises(SourceDiskChangedError, match="2097152 bytes, 1048576 were assigned"):
            inventory_of_other.carry_out()
