"""Free blocks of btrfs, against what its own tools say: zeroed, they are missed by nobody."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from rehost.core.extent import Extent, intersect, total
from rehost.track.btrfsmap import devices_of, free_extents
from tests.loopdisks import LoopDisk, LoopDisks, open_folder, run

MIB = 1 << 20
RESERVED = MIB


def fill(mount: Path) -> None:
    """Files and gaps between them, snapshots and what they alone keep."""
    run("btrfs", "subvolume", "create", mount / "sub")
    for number in range(400):
        (mount / "sub" / f"file-{number}").write_bytes(os.urandom(40_000))
    run("btrfs", "subvolume", "snapshot", mount / "sub", mount / "snapshot")
    for number in range(0, 400, 3):
        (mount / "sub" / f"file-{number}").unlink()
    for number in range(0, 400, 7):
        (mount / "snapshot" / f"file-{number}").unlink()
    run("fallocate", "--length", "3M", mount / "reserved")


def free_of(disk: LoopDisk) -> list[Extent] | None:
    assert disk.mount is not None
    with open_folder(disk.mount) as fd:
        return free_extents(fd, disk.number)


def used_by_btrfs(mount: Path) -> int:
    """Bytes of the disk, copies counted."""
    text = run("btrfs", "filesystem", "usage", "--raw", mount)
    parts = re.findall(r"^\w+(?:\+\w+)?,(\w+): Size:\d+, Used:(\d+)", text, re.MULTILINE)
    return sum(int(used) * (2 if profile == "DUP" else 1) for profile, used in parts)


@pytest.mark.parametrize(
    "options",
    [(), ("-d", "dup"), ("--mixed", "-n", "4096"), ("-O", "^no-holes", "-R", "^free-space-tree")],
    ids=["plain", "data twice", "mixed", "as of old"],
)
def test_a_disk_whose_free_blocks_are_zeroed_is_whole(
    disks: LoopDisks, tmp_path: Path, options: tuple[str, ...]
) -> None:
    disk = disks.make(300 * MIB, "btrfs", ("-q", *options))
    assert disk.mount is not None
    fill(disk.mount)
    run("fsfreeze", "--freeze", disk.mount)
    try:
        free, used = free_of(disk), used_by_btrfs(disk.mount)
        copy = tmp_path / "copy.img"
        run("dd", f"if={disk.path}", f"of={copy}", "bs=1M", "iflag=direct")
    finally:
        run("fsfreeze", "--unfreeze", disk.mount)
    assert free is not None
    # Besides what is allocated the first MiB and the superblock at 64 MiB: not a block too much.
    assert disk.size - total(free) == used + RESERVED + 4096
    zero(copy, free)
    run("btrfs", "check", "--check-data-csum", copy)
    with disks.attached(copy) as device:
        superblocks = run("btrfs", "inspect-internal", "dump-super", "--all", device)
    assert superblocks.count("superblock: bytenr=") == 2
    assert "DON'T MATCH" not in superblocks


def zero(image: Path, extents: list[Extent]) -> None:
    with image.open("r+b") as file:
        for extent in extents:
            file.seek(extent.start)
            file.write(bytes(len(extent)))


def test_more_items_than_one_call_returns(disks: LoopDisks) -> None:
    disk = disks.make(300 * MIB, "btrfs", ("-q",))
    assert disk.mount is not None
    for number in range(16_000):
        (disk.mount / str(number)).write_bytes(bytes(4097))  # not inside the metadata
    for number in range(0, 16_000, 2):
        (disk.mount / str(number)).unlink()
    run("sync", "-f", disk.mount)
    free = free_of(disk)
    assert free is not None
    assert len(free) > 4000
    assert disk.size - total(free) == used_by_btrfs(disk.mount) + RESERVED + 4096


def test_a_file_system_smaller_than_its_disk_tells_nothing_of_the_rest(disks: LoopDisks) -> None:
    disk = disks.make(300 * MIB, "btrfs", ("-q", "--byte-count", str(200 * MIB)))
    free = free_of(disk)
    assert free is not None
    assert intersect(free, Extent(200 * MIB, 300 * MIB)) == []


def test_one_of_two_devices_has_no_map(disks: LoopDisks) -> None:
    one, two = disks.make(128 * MIB), disks.make(128 * MIB)
    run("mkfs.btrfs", "-q", one.path, two.path)
    with open_folder(disks.mount(one.path)) as fd:
        assert devices_of(fd) == {one.number, two.number}
        assert free_extents(fd, one.number) is None


def test_a_profile_that_is_not_known_has_no_map(disks: LoopDisks) -> None:
    disk = disks.make(300 * MIB)
    if subprocess.run(["mkfs.btrfs", "-q", "-d", "raid0", disk.path], check=False).returncode:
        pytest.skip("mkfs.btrfs makes no stripes on one device")
    with open_folder(disks.mount(disk.path)) as fd:
        assert free_extents(fd, disk.number) is None


def test_another_file_system_has_no_map(disks: LoopDisks) -> None:
    assert free_of(disks.make(64 * MIB, "ext4")) is None
