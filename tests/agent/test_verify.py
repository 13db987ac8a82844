"""`rehost-agent verify`: disks that were copied by a real run, and stand still since."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rehost.agent.survey import disks as inventory
from rehost.agent.survey.host import Host
from rehost.agent.verify.verifying import recognized
from rehost.block import digestfile, replica
from rehost.block.digestfile import DigestedDisk, Header
from rehost.block.volume import VolumeShape
from rehost.core.errors import NotFoundError
from rehost.core.server import Disk
from tests.agent.copying import Lab, lab
from tests.agent.test_main import agent
from tests.loopdisks import LoopDisk, LoopDisks, run, wait_until_unmounted
from tests.receive.site import CHUNK

MIB = 1 << 20
SIZES = {"ext2": 64 * MIB, "ext3": 64 * MIB, "ext4": 64 * MIB, "xfs": 320 * MIB, "btrfs": 256 * MIB}


def fill(folder: Path) -> None:
    """Files that stay, and stale data in what is free again."""
    (folder / "kept").write_bytes(b"kept" * MIB)
    (folder / "gone").write_bytes(b"gone" * MIB)
    run("sync", "-f", folder)
    (folder / "gone").unlink()
    run("sync", "-f", folder)


def remount(disk: LoopDisk, kind: str) -> None:
    """Read-only, so that the copy's freeze writes nothing; an xfs writes at its unmount even then."""
    assert disk.mount is not None
    run("umount", disk.mount)
    run("mount", "-o", "ro,norecovery" if kind == "xfs" else "ro", disk.path, disk.mount)


def copied(site: Lab, path: Path) -> Path:
    """The digest file of a run that is done now."""
    report = site.carry_out()
    with replica.open_replica(site.site.folder) as opened:
        known = inventory.collect(Host(), [disk.path for disk in site.disks])
        digested = tuple(
            DigestedDisk(shape, root.hex(), disk)
            for shape, root, disk in zip(opened.shapes, opened.roots(), known, strict=True)
        )
        header = Header("m-1", "j-1", "r-1", report.ended, digested)
        digestfile.write(path, header, [volume.journal for volume in opened.volumes.values()])
    return path


def verify(file: Path, *disks: str | Path) -> tuple[int, list[dict[str, Any]]]:
    named = [word for number, disk in enumerate(disks) for word in ("--disk", f"{number}={disk}")]
    done = agent("verify", file, "--json", *named)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["disks"]


@pytest.mark.parametrize("kind", list(SIZES))
def test_a_disk_at_rest_equals_its_copy_and_is_not_written(
    disks: LoopDisks, tmp_path: Path, kind: str
) -> None:
    disk = disks.make(SIZES[kind], kind)
    assert disk.mount is not None
    fill(disk.mount)
    remount(disk, kind)
    with lab(tmp_path, disk) as site:
        file = copied(site, tmp_path / "digests")
    before = disk.image.read_bytes()
    mounted = verify(file, disk.path)
    wait_until_unmounted(disk.mount)
    unmounted = verify(file, disk.path)
    assert disk.image.read_bytes() == before
    assert not run("findmnt", "--noheadings", "--list", "--output", "SOURCE").count(disk.path + "\n")
    run("mount", "-o", "ro", disk.path, disk.mount)  # for the fixture to unmount
    for code, (found,) in (mounted, unmounted):
        assert (code, found["equal"], found["extents"], found["notes"]) == (0, True, [], [])
        assert 4 * MIB <= found["read"] < disk.size / 2  # what is free is not read, as it was not copied


def test_a_byte_that_changed_is_found_on_its_disk_and_in_its_partition(
    disks: LoopDisks, tmp_path: Path
) -> None:
    table = "label: dos\nstart=2048, size=65536\nstart=67584, size=61440\n"
    other = disks.make(MIB)
    disk = disks.make(64 * MIB)
    subprocess.run(["sfdisk", "-q", disk.path], input=table, text=True, check=True)
    run("partx", "--update", disk.path)
    run("mkfs.ext4", "-q", f"{disk.path}p2")
    with lab(tmp_path, other, disk) as site:
        file = copied(site, tmp_path / "digests")
    assert verify(file, other.path, disk.path)[0] == 0
    run("mkfs.ext4", "-q", "-E", "nodiscard", f"{disk.path}p1")  # that one is written, the other one is not
    code, (same, found) = verify(file, other.path, disk.path)
    assert (code, same["equal"], found["equal"]) == (5, True, False)
    assert found["extents"][0]["start"] == MIB
    assert {name for each in found["extents"] for name in each["partitions"]} == {f"1_0 {disk.path}p1 ext4"}
    assert "1_0" in found["notes"][0]
    assert "what has been written since" in found["notes"][0]


def test_an_unmount_after_the_copy_is_a_difference_that_is_explained(
    disks: LoopDisks, tmp_path: Path
) -> None:
    disk = disks.make(64 * MIB, "ext4")
    assert disk.mount is not None
    fill(disk.mount)
    with lab(tmp_path, disk) as site:
        file = copied(site, tmp_path / "digests")
    (disk.mount / "new").write_text("new")
    run("sync", "-f", disk.mount)
    code, (found,) = verify(file, disk.path)
    assert (code, "mounted for writing" in found["notes"][0]) == (5, True)
    wait_until_unmounted(disk.mount)
    code, (found,) = verify(file, disk.path)
    run("mount", disk.path, disk.mount)
    assert (code, found["extents"][0]["start"]) == (5, 0)  # the superblock
    assert found["differing_bytes"] < 4 * MIB  # not the file that stayed
    assert "an unmount writes too" in found["notes"][0]


def test_a_file_system_that_does_not_mount_is_compared_whole(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(64 * MIB, "ext4", mounted=False)
    with lab(tmp_path, disk) as site:
        file = copied(site, tmp_path / "digests")
    assert verify(file, disk.path)[0] == 0
    with open(disk.path, "r+b") as device:
        device.seek(1024 + 88)  # the size of an inode
        device.write(b"\xff\xff")
    code, (found,) = verify(file, disk.path)
    assert (code, [each["start"] for each in found["extents"]]) == (5, [0])
    assert any("is compared whole" in note for note in found["notes"])


def test_a_disk_that_is_smaller_now(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(8 * MIB)
    with open(disk.path, "r+b") as device:
        device.write(b"\x01" * 8 * MIB)
    with lab(tmp_path, disk) as site:
        file = copied(site, tmp_path / "digests")
    smaller = disks.make(6 * MIB)
    run("dd", f"if={disk.image}", f"of={smaller.path}", "bs=1M", "count=6", "conv=fsync")
    shown = agent("verify", file, "--disk", smaller.path)
    assert shown.returncode == 5
    assert f"bytes {6 * MIB} to {8 * MIB}" in shown.stdout
    assert f"it ends at byte {6 * MIB}, and {8 * MIB} bytes were copied" in shown.stdout


def digested(*disks: Disk) -> tuple[DigestedDisk, ...]:
    return tuple(DigestedDisk(VolumeShape(disk.index, disk.size, CHUNK), "", disk) for disk in disks)


def test_disks_are_recognized_by_their_serial_number_or_name() -> None:
    copied = digested(Disk(0, "/dev/sda", MIB, serial="A"), Disk(1, "/dev/sdb", MIB))
    present = [Disk(0, "/dev/sda", MIB), Disk(1, "/dev/sdb", MIB), Disk(2, "/dev/sdc", MIB, serial="A")]
    assert recognized(copied, present) == {0: Path("/dev/sdc"), 1: Path("/dev/sdb")}
    for others in ([], present[:2], [*present, Disk(3, "/dev/sdd", MIB, serial="A")]):
        with pytest.raises(NotFoundError, match="name it: --disk 0=/dev/NAME"):
            recognized(copied, others)
    with pytest.raises(NotFoundError, match="disk 1 "):
        recognized(copied, [Disk(1, "/dev/sdb", 2 * MIB), present[2]])


def test_a_disk_that_the_run_does_not_have(disks: LoopDisks, tmp_path: Path) -> None:
    with lab(tmp_path, disks.make(4 * CHUNK)) as site:
        file = copied(site, tmp_path / "digests")
    done = agent("verify", file, "--disk", "3=/dev/null")
    assert (done.returncode, "its disks are 0" in done.stderr) == (1, True)


def test_a_damaged_file_is_told_from_a_disk_that_differs(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(4 * CHUNK)
    with lab(tmp_path, disk) as site:
        file = copied(site, tmp_path / "digests")
    content = file.read_bytes()
    file.write_bytes(content[:-3])
    done = agent("verify", file, "--disk", disk.path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "rehost verify IMAGE --digests FILE" in done.stderr
