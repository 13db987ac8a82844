import pytest

from rehost.convert.guest.devices import is_bound_to_hardware, partition_name
from tests.convert.names import DATA, NAMES, ROOT


@pytest.mark.parametrize(
    ("spec", "stable"),
    [
        ("/dev/sda1", "UUID=aaaa-root"),
        ("/dev/nvme0n1p1", "UUID=dddd-nvme"),
        ("/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part2", "UUID=bbbb-swap"),
        ("/dev/disk/by-id/nvme-Disk_S3R1AL-part1", "UUID=dddd-nvme"),
        ("/dev/sdb2", None),  # nothing on it that has an UUID
        ("/dev/sdc1", None),  # not copied
        ("/dev/disk/by-path/pci-0000:00:01.1-ata-1-part1", None),
        ("/dev/mapper/vg-root", None),
        ("UUID=aaaa-root", None),  # stable as it is
    ],
)
def test_names_become_uuids_where_the_disks_are_known(spec: str, stable: str | None) -> None:
    assert NAMES.stable(spec) == stable


def test_every_way_to_name_a_volume_finds_it() -> None:
    for spec in ("/dev/sdb1", "UUID=cccc-data", 'LABEL="records"', "PARTUUID=1BADCAFE-01"):
        assert NAMES.find(spec) == DATA
    for spec in ("/dev/disk/by-uuid/aaaa-root", "/dev/disk/by-label/system"):
        assert NAMES.find(spec) == ROOT
    assert NAMES.find("LABEL=") is None
    assert NAMES.find("TYPE=ext4") is None


@pytest.mark.parametrize(
    "spec", ["/dev/sda", "/dev/xvdb3", "/dev/hdc", "/dev/mmcblk0p2", "/dev/disk/by-path/x", "/dev/vda1"]
)
def test_names_that_depend_on_the_hardware(spec: str) -> None:
    assert is_bound_to_hardware(spec)


@pytest.mark.parametrize(
    "spec", ["UUID=x", "/dev/mapper/a", "/dev/vg/lv", "/dev/sr0", "/dev/disk/by-uuid/x", "none"]
)
def test_names_that_do_not(spec: str) -> None:
    assert not is_bound_to_hardware(spec)


def test_partition_names() -> None:
    assert partition_name("/dev/sda", "2") == "/dev/sda2"
    assert partition_name("/dev/nvme0n1", "2") == "/dev/nvme0n1p2"
