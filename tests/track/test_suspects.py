"""Idle disks are skipped, and only those."""

import os

import pytest

from rehost.block.file import open_source
from rehost.block.linux import aligned_buffer
from rehost.track.counters import Counters, parse_stat
from rehost.track.suspects import IdleDisks
from tests.loopdisks import LoopDisk, LoopDisks

MIB = 1 << 20


def read(disk: LoopDisk) -> None:
    device = open_source(disk.path)
    device.read_into(0, aligned_buffer(4096))
    device.close()


def write(disk: LoopDisk) -> None:
    fd = os.open(disk.path, os.O_WRONLY)
    os.pwrite(fd, b"x", 5 * MIB)
    os.fsync(fd)
    os.close(fd)


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    return disks.make(16 * MIB)


def test_an_idle_disk_is_skipped_after_a_complete_pass(disk: LoopDisk) -> None:
    suspects, number = IdleDisks(), os.stat(disk.path).st_rdev
    assert suspects.begin(number).extents is None
    read(disk)
    suspects.complete(number)
    assert suspects.begin(number).extents == ()
    suspects.complete(number)
    assert suspects.begin(number).extents == ()


def test_a_write_makes_it_suspect_even_inside_the_pass(disk: LoopDisk) -> None:
    suspects, number = IdleDisks(), os.stat(disk.path).st_rdev
    suspects.begin(number)
    read(disk)
    write(disk)
    suspects.complete(number)
    assert suspects.begin(number).extents is None
    read(disk)
    suspects.complete(number)
    assert suspects.begin(number).extents == ()


def test_a_pass_that_was_not_completed_proves_nothing(disk: LoopDisk) -> None:
    suspects, number = IdleDisks(), os.stat(disk.path).st_rdev
    suspects.begin(number)
    read(disk)
    assert suspects.begin(number).extents is None


def test_a_disk_whose_reads_are_not_counted_is_never_skipped(disk: LoopDisk) -> None:
    suspects, number = IdleDisks(), os.stat(disk.path).st_rdev
    suspects.begin(number)
    suspects.complete(number)
    assert suspects.begin(number).extents is None


def test_a_disk_without_statistics_is_never_skipped() -> None:
    suspects, number = IdleDisks(), os.makedev(4095, 7)
    suspects.begin(number)
    suspects.complete(number)
    assert suspects.begin(number).extents is None


def test_the_stat_file_of_new_and_of_old_kernels() -> None:
    new = "  11 2 3000 4  50 6 7000 8  0 10 11  12 13 1400 15  16 17\n"
    assert parse_stat(new) == Counters(11, (50, 7000, 12, 1400))
    assert parse_stat("11 2 3000 4 50 6 7000 8 0 10 11\n") is None
