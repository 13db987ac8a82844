"""Mounts by recorded lines and by real ones."""

import os
from pathlib import Path

import pytest

from rehost.core.errors import SourceDiskChangedError
from rehost.track.mounts import MountLine, bottoms, mounted_on, open_on, parse_mountinfo
from tests.loopdisks import LoopDisks, run

MIB = 1 << 20
LVM = """\
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
24 22 0:22 / /proc rw - proc proc rw
30 22 8:1 / /boot rw shared:5 - ext4 /dev/sda1 rw
31 22 253:1 / /srv/with\\040blank rw - xfs /dev/mapper/vg-srv rw
32 22 8:1 /grub /boot/again rw - ext4 /dev/sda1 rw
33 22 8:17 / /other rw - ext4 /dev/sdb1 rw
34 22 0:45 / /nfs rw - nfs4 server:/export rw
"""


def test_a_line_has_device_point_kind_and_source() -> None:
    assert parse_mountinfo(LVM)[3] == MountLine(
        os.makedev(253, 1), "/srv/with blank", "xfs", "/dev/mapper/vg-srv"
    )


def sysfs(folder: Path) -> Path:
    """Two logical volumes on sda2, one of them striped over sdb2 as well."""
    for device, slaves in {"253:0": ["8:2"], "253:1": ["8:2", "8:18"]}.items():
        for slave in slaves:
            entry = folder / "dev/block" / device / "slaves" / slave.replace(":", "-")
            entry.mkdir(parents=True)
            (entry / "dev").write_text(slave + "\n")
    return folder


def test_file_systems_are_found_through_lvm_deepest_first(tmp_path: Path) -> None:
    found = mounted_on([os.makedev(8, 1), os.makedev(8, 2)], LVM, sysfs(tmp_path))
    assert [system.points for system in found] == [
        ("/srv/with blank",),
        ("/boot", "/boot/again"),
        ("/",),
    ]
    assert found[0].below == {os.makedev(8, 2), os.makedev(8, 18)}


def test_a_plain_partition_is_its_own_bottom(tmp_path: Path) -> None:
    assert bottoms(os.makedev(8, 1), tmp_path) == {os.makedev(8, 1)}


def test_a_file_system_mounted_twice_is_one(disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4")
    again = disks.mount(disk.path)
    (system,) = mounted_on([os.stat(disk.path).st_rdev])
    assert set(system.points) == {str(disk.mount), str(again)}
    assert system.kind == "ext4"


def test_both_devices_of_a_btrfs_lead_to_it(disks: LoopDisks) -> None:
    one, two = disks.make(128 * MIB), disks.make(128 * MIB)
    run("mkfs.btrfs", "-q", one.path, two.path)
    mount = disks.mount(one.path)
    for path in (one.path, two.path):
        (system,) = mounted_on([os.stat(path).st_rdev])
        assert system.points == (str(mount),)
        os.close(open_on(system))


@pytest.mark.parametrize(("kind", "size"), [("ext4", 64 * MIB), ("btrfs", 128 * MIB)])
def test_what_is_mounted_over_is_not_mistaken_for_it(disks: LoopDisks, kind: str, size: int) -> None:
    below, above = disks.make(size, kind), disks.make(size, kind, mounted=False)
    (system,) = mounted_on([os.stat(below.path).st_rdev])
    assert below.mount is not None
    run("mount", above.path, below.mount)
    try:
        with pytest.raises(SourceDiskChangedError, match="cannot be opened"):
            open_on(system)
    finally:
        run("umount", below.mount)
