"""Free blocks as the kernel tells them, against what the file systems' own tools say."""

import os
import re
from pathlib import Path

import pytest

from rehost.core.extent import Extent, intersect, merge, total
from rehost.track.fsmap import free_extents
from tests.loopdisks import LoopDisk, LoopDisks, run

MIB = 1 << 20


def fill(mount: Path) -> None:
    """Files and gaps between them."""
    for number in range(40):
        (mount / f"file-{number}").write_bytes(os.urandom(200_000))
    for number in range(0, 40, 3):
        (mount / f"file-{number}").unlink()


def free_by_dumpe2fs(device: str) -> list[Extent]:
    text = run("dumpe2fs", device)
    block = number_in(text, r"Block size:\s+(\d+)")
    cluster = number_in(text, r"Cluster size:\s+(\d+)") if "Cluster size" in text else block
    extents = []
    for line in re.findall(r"^  Free blocks: (.+)$", text, re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")  # the last cluster is named by its first block
            extents.append(Extent(int(first) * block, int(last or first) * block + cluster))
    return merge(extents)


def number_in(text: str, pattern: str) -> int:
    match = re.search(pattern, text)
    assert match, text
    return int(match[1])


def free_of(disk: LoopDisk) -> list[Extent]:
    """The map after a fresh mount, when nothing is set aside in memory."""
    assert disk.mount is not None
    run("umount", disk.mount)
    run("mount", disk.path, disk.mount)
    fd = os.open(disk.mount, os.O_RDONLY)
    try:
        free = free_extents(fd, os.stat(disk.path).st_rdev)
    finally:
        os.close(fd)
    assert free is not None
    return free


def free_by_dumpe2fs_of(disk: LoopDisk) -> list[Extent]:
    assert disk.mount is not None
    run("umount", disk.mount)
    found = free_by_dumpe2fs(disk.path)
    run("mount", disk.path, disk.mount)
    return found


def blocks_of(file: Path) -> list[Extent]:
    """Where a file's data lies on its device."""
    rows = re.findall(
        r"^ +\d+: +\d+\.\. +\d+: +(\d+)\.\. +(\d+):", run("filefrag", "-b512", "-v", file), re.MULTILINE
    )
    assert rows
    return [Extent(int(first) * 512, (int(last) + 1) * 512) for first, last in rows]


@pytest.mark.parametrize(
    ("kind", "options"), [("ext4", ()), ("ext4", ("-b", "1024")), ("ext4", ("-O", "bigalloc")), ("ext3", ())]
)
def test_ext_free_blocks_are_those_of_the_bitmaps(
    disks: LoopDisks, kind: str, options: tuple[str, ...]
) -> None:
    disk = disks.make(300 * MIB, kind, ("-q", *options))
    assert disk.mount is not None
    fill(disk.mount)
    assert free_of(disk) == free_by_dumpe2fs_of(disk)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_no_block_of_a_file_is_free_and_nearly_all_else_is(disks: LoopDisks, kind: str) -> None:
    disk = disks.make(400 * MIB, kind)
    assert disk.mount is not None
    fill(disk.mount)
    os.sync()
    free = free_of(disk)
    files = sorted(disk.mount.glob("file-*"))
    assert files
    for file in files:
        for extent in blocks_of(file):
            assert intersect(free, extent) == []
    space = os.statvfs(disk.mount)
    assert abs(total(free) - space.f_bfree * space.f_frsize) < 32 * MIB  # what xfs holds in reserve


def test_a_file_system_that_cannot_tell_answers_none(disks: LoopDisks) -> None:
    disk = disks.make(200 * MIB, "btrfs")
    assert disk.mount is not None
    fd = os.open(disk.mount, os.O_RDONLY)
    try:
        assert free_extents(fd, os.stat(disk.path).st_rdev) is None
    finally:
        os.close(fd)


def test_more_records_than_one_call_returns(disks: LoopDisks) -> None:
    disk = disks.make(200 * MIB, "ext4", ("-q", "-b", "1024", "-O", "^has_journal", "-N", "40000"))
    assert disk.mount is not None
    for number in range(20_000):
        (disk.mount / str(number)).write_bytes(b"x")
    os.sync()
    for number in range(0, 20_000, 2):
        (disk.mount / str(number)).unlink()
    free = free_of(disk)
    assert len(free) > 8192
    assert free == free_by_dumpe2fs_of(disk)
