"""Freezing real file systems, and everything that may go wrong between freeze and thaw."""

import errno
import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehost.core.errors import FreezeError
from rehost.track.freeze import FIFREEZE, Freezer
from rehost.track.mounts import FileSystem, mounted_on, open_on
from rehost.track.watchdog import FITHAW
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.processes import end, line_of, python

MIB = 1 << 20


@contextmanager
def opened(*disks: LoopDisk) -> Iterator[dict[FileSystem, int]]:
    systems = mounted_on([os.stat(disk.path).st_rdev for disk in disks])
    descriptors = {system: open_on(system) for system in systems}
    try:
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def ioctl(mount: Path, number: int) -> None:
    fd = os.open(mount, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, number, 0)
    finally:
        os.close(fd)


class Write(threading.Thread):
    """A write to a file system, which waits while that is frozen."""

    def __init__(self, mount: Path) -> None:
        super().__init__()
        self._file = mount / "written"
        self.start()

    def run(self) -> None:
        self._file.write_bytes(b"x")

    def done_within(self, seconds: float) -> bool:
        self.join(seconds)
        return not self.is_alive()


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    return disks.make(64 * MIB, "ext4")


def test_a_write_waits_from_freeze_to_thaw(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with opened(disk) as systems, Freezer(systems, 30.0) as freezer:
        freezer.freeze()
        write = Write(disk.mount)
        waited = not write.done_within(0.3)
        freezer.thaw()
        assert waited
        assert write.done_within(20)
        assert freezer.seconds >= 0.3
        assert not freezer.unfreezable


def test_the_deepest_mount_is_frozen_first(disks: LoopDisks, disk: LoopDisk) -> None:
    assert disk.mount is not None
    inner = disks.make(400 * MIB, "xfs", mounted=False)
    point = disk.mount / "below"
    point.mkdir()
    run("mount", inner.path, point)
    try:
        with opened(inner, disk) as systems:
            assert [system.points[0] for system in systems] == [str(point), str(disk.mount)]
            with Freezer(systems, 30.0) as freezer:
                freezer.freeze()
                freezer.thaw()
        (point / "file").write_bytes(b"x")
    finally:
        run("umount", point)


def test_leaving_without_thaw_thaws(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with opened(disk) as systems, Freezer(systems, 30.0) as freezer:
        freezer.freeze()
    assert Write(disk.mount).done_within(20)


def test_the_deadline_thaws_and_the_round_is_void(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with opened(disk) as systems, Freezer(systems, 0.5) as freezer:
        freezer.freeze()
        assert Write(disk.mount).done_within(20)
        with pytest.raises(FreezeError, match="thawed by the watchdog after"):
            freezer.thaw()


def test_a_foreign_thaw_is_noticed(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with opened(disk) as systems, Freezer(systems, 30.0) as freezer:
        freezer.freeze()
        ioctl(disk.mount, FITHAW)
        with pytest.raises(FreezeError, match="by another program"):
            freezer.thaw()


def test_a_foreign_freeze_is_left_alone_and_nothing_else_stays_frozen(disks: LoopDisks) -> None:
    free, foreign = disks.make(64 * MIB, "ext4"), disks.make(64 * MIB, "ext4")
    assert free.mount is not None
    assert foreign.mount is not None
    ioctl(foreign.mount, FIFREEZE)
    try:
        with (
            opened(free, foreign) as systems,
            pytest.raises(FreezeError, match="frozen already"),
            Freezer(systems, 30.0) as freezer,
        ):
            freezer.freeze()
        assert Write(free.mount).done_within(20)
        with pytest.raises(OSError, match="busy") as caught:
            ioctl(foreign.mount, FIFREEZE)
        assert caught.value.errno == errno.EBUSY
    finally:
        ioctl(foreign.mount, FITHAW)


def test_what_cannot_freeze_is_named(disks: LoopDisks, disk: LoopDisk, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    (content / "file").write_bytes(os.urandom(100_000))
    image = tmp_path / "squash.img"
    run("mksquashfs", content, image)
    path = disks.attach(image)
    squash = LoopDisk(path, image, disks.mount(path))
    with opened(disk, squash) as systems, Freezer(systems, 30.0) as freezer:
        freezer.freeze()
        freezer.thaw()
        assert [system.kind for system in freezer.unfreezable] == ["squashfs"]


def test_what_is_mounted_read_only_freezes_too(disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4", mounted=False)
    disks.mount(disk.path, "-o", "ro")
    with opened(disk) as systems, Freezer(systems, 30.0) as freezer:
        freezer.freeze()
        freezer.thaw()
        assert not freezer.unfreezable


@pytest.mark.parametrize("launcher", ["/bin/false", "/no/such/program"])
def test_nothing_is_frozen_without_a_watchdog(disk: LoopDisk, launcher: str) -> None:
    with (
        opened(disk) as systems,
        pytest.raises(FreezeError, match="watchdog did not start"),
        Freezer(systems, 30.0, (launcher,)),
    ):
        pytest.fail("entered")


def test_the_watchdog_outlives_signals(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with opened(disk) as systems, Freezer(systems, 1.0) as freezer:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
            freezer.process.send_signal(number)
        freezer.freeze()
        assert Write(disk.mount).done_within(20)
        with pytest.raises(FreezeError, match="by the watchdog"):
            freezer.thaw()


_HOLDER = """
import os, sys, time
from rehost.core.errors import FreezeError
from rehost.track.freeze import Freezer
from rehost.track.mounts import mounted_on, open_on
systems = {s: open_on(s) for s in mounted_on([os.stat(sys.argv[1]).st_rdev])}
with Freezer(systems, float(sys.argv[2])) as freezer:
    freezer.freeze()
    print("frozen", flush=True)
    sys.stdin.readline()
    try:
        freezer.thaw()
        print("held", flush=True)
    except FreezeError as error:
        print(error.what, flush=True)
"""


@contextmanager
def holder(disk: LoopDisk, deadline: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that has frozen the disk."""
    with python("-c", _HOLDER, disk.path, deadline) as process:
        assert line_of(process) == "frozen\n"
        yield process


def test_kill_9_inside_the_freeze_thaws(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with holder(disk, 60.0) as process:
        write = Write(disk.mount)
        waited = not write.done_within(0.3)
        process.kill()
        assert write.done_within(20)  # long before the deadline: the pipe's end is enough
        assert waited


def test_an_agent_that_is_stopped_inside_the_freeze_is_thawed_and_told(disk: LoopDisk) -> None:
    assert disk.mount is not None
    with holder(disk, 1.0) as process:
        process.send_signal(signal.SIGSTOP)
        assert Write(disk.mount).done_within(20)
        process.send_signal(signal.SIGCONT)
        assert "thawed by the watchdog" in end(process, "go\n")
