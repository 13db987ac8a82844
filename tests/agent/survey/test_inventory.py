"""The inventory: of recorded servers, and of real loop disks of this one."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from rehost.agent.survey import disks as disks_now
from rehost.agent.survey import inventory
from rehost.agent.survey.host import Host
from rehost.core.errors import InvalidValueError, NotFoundError, SourceReadError
from rehost.core.server import BootMode, Disk, Interface, Inventory
from tests.agent.recorded import restore
from tests.loopdisks import LoopDisks, run

MIB = 1 << 20


@pytest.fixture
def mixed(tmp_path: Path) -> Inventory:
    return inventory.collect((), restore("debian-12-mixed", tmp_path))


def shape(disk: Disk) -> list[tuple[str, str, str]]:
    return [(part.path, part.filesystem, part.mount) for part in disk.partitions]


def test_the_disks_are_those_of_the_server_and_the_system_disk_is_first(mixed: Inventory) -> None:
    """Not: the CD-ROM drive, the loop device, the logical volume, the removable disk."""
    assert [(disk.index, disk.path, disk.table) for disk in mixed.disks] == [
        (0, "/dev/sda", "dos"),
        (1, "/dev/nvme0n1", ""),
        (2, "/dev/nvme1n1", "dos"),
        (3, "/dev/sdb", "gpt"),
        (4, "/dev/vda", ""),
        (5, "/dev/vdb", ""),
    ]


def test_partitions_with_what_is_on_them(mixed: Inventory) -> None:
    assert shape(mixed.disks[0]) == [("/dev/sda1", "ext4", "/"), ("/dev/sda5", "swap", "")]
    assert shape(mixed.disks[3]) == [
        ("/dev/sdb1", "vfat", "/boot/efi"),
        ("/dev/sdb2", "xfs", "/srv/records"),
        ("/dev/sdb3", "swap", ""),
    ]
    assert [part.number for part in mixed.disks[3].partitions] == [0, 1, 2]


def test_a_disk_without_a_table_is_one_partition_of_its_size(mixed: Inventory) -> None:
    disk = mixed.disks[4]
    assert shape(disk) == [("/dev/vda", "ext4", "/srv/two words")]
    assert (disk.partitions[0].start, disk.partitions[0].size) == (0, disk.size)
    assert disk.partitions[0].label == "two words"


def test_lvm_and_btrfs_are_named(mixed: Inventory) -> None:
    assert shape(mixed.disks[1]) == [("/dev/nvme0n1", "LVM2_member", "")]
    assert shape(mixed.disks[2]) == [("/dev/nvme1n1p1", "btrfs", "/srv/pool")]
    uuid = mixed.disks[1].partitions[0].uuid
    assert [len(part) for part in uuid.split("-")] == [6, 4, 4, 4, 4, 4, 6]


def test_an_empty_disk_has_no_partitions(mixed: Inventory) -> None:
    assert mixed.disks[5].partitions == ()


def test_serials_of_disks(mixed: Inventory) -> None:
    serials = {disk.path: disk.serial for disk in mixed.disks}
    assert serials["/dev/vda"] == "VSERIAL1"
    assert serials["/dev/nvme1n1"] == "NSERIAL1"
    assert serials["/dev/sda"].startswith("QM0000")  # QEMU's own, by SCSI page 0x80


def test_the_system(mixed: Inventory) -> None:
    assert (mixed.hostname, mixed.platform, mixed.platform_version) == ("oak", "Debian", "12")
    assert (mixed.architecture, mixed.boot_mode, mixed.cores) == ("x86_64", BootMode.BIOS, 2)
    assert mixed.kernel.startswith("6.1.0-")
    assert 900 * MIB < mixed.memory < 1024 * MIB
    assert mixed.machine_id == "5f2a8b0c9d1e4f60718293a4b5c6d7e8"


def test_physical_cards_only(mixed: Inventory) -> None:
    (card,) = mixed.interfaces
    assert (card.name, card.mac) == ("eth0", "52:54:00:12:34:56")
    assert card.addresses[:2] == ("198.51.100.7/24", "2001:db8::7/64")


def test_used_bytes_of_a_mounted_file_system_are_the_mounts_own(tmp_path: Path) -> None:
    host = restore("debian-12-mixed", tmp_path)
    root = inventory.collect((), host).disks[0].partitions[0]
    assert root.used == root.size - host.free_bytes("/")


def test_the_system_disk_is_found_below_lvm(tmp_path: Path) -> None:
    found = inventory.collect((), restore("debian-12-lvm-root", tmp_path))
    assert found.system_disk.path == "/dev/nvme0n1"
    assert [disk.path for disk in found.data_disks][:1] == ["/dev/nvme1n1"]


def test_a_server_with_efi_boots_by_uefi(tmp_path: Path) -> None:
    host = restore("debian-12-mixed", tmp_path)
    (tmp_path / "sys/firmware/efi").mkdir(parents=True)
    assert inventory.collect((), host).boot_mode is BootMode.UEFI


def test_named_disks_are_taken_in_the_order_given(tmp_path: Path) -> None:
    found = inventory.collect(["/dev/sdc", "/dev/sda"], restore("debian-12-mixed", tmp_path))
    assert [(disk.index, disk.path) for disk in found.disks] == [(0, "/dev/sdc"), (1, "/dev/sda")]


def test_the_disks_that_are_present_are_those_of_the_inventory(tmp_path: Path) -> None:
    host = restore("debian-12-mixed", tmp_path)
    told = inventory.collect((), host).disks
    assert disks_now.present(host) == {disk.path for disk in told}
    assert disks_now.present(host, ["/dev/sda"]) == {"/dev/sda"}
    shutil.copytree(tmp_path / "sys/block/sda", tmp_path / "sys/block/sdy")
    assert disks_now.present(host) == {disk.path for disk in told} | {"/dev/sdy"}
    assert disks_now.present(host, ["/dev/sda"]) == {"/dev/sda"}


def test_a_name_that_is_no_disk_is_refused(tmp_path: Path) -> None:
    host = restore("debian-12-mixed", tmp_path)
    with pytest.raises(NotFoundError, match=r"no disk /dev/sdz.*/dev/sda"):
        inventory.collect(["/dev/sdz"], host)
    with pytest.raises(InvalidValueError, match="twice"):
        inventory.collect(["/dev/sda", "/dev/sda"], host)


def test_a_disk_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    host = restore("debian-12-mixed", tmp_path)
    (tmp_path / "dev/sdb").unlink()
    with pytest.raises(SourceReadError, match="dev/sdb cannot be opened"):
        inventory.collect((), host)


def test_it_goes_through_json_unchanged(mixed: Inventory) -> None:
    assert msgspec.json.decode(msgspec.json.encode(mixed), type=Inventory) == mixed


def test_the_cards_of_this_machine_are_those_that_ip_shows() -> None:
    def address_of(line: str) -> str:
        return line.split()[3]

    shown = {address_of(line) for line in run("ip", "-o", "addr", "show", "scope", "global").splitlines()}
    cards: tuple[Interface, ...] = inventory.interfaces(Host())
    assert {text for card in cards for text in card.addresses} <= shown
    assert all(os.path.exists(f"/sys/class/net/{card.name}/device") for card in cards)


def test_a_loop_disk_with_partitions(disks: LoopDisks, tmp_path: Path) -> None:
    """Whether or not this kernel looks for partitions on it: the agent reads the table itself."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    run("sh", "-c", f"printf 'label: dos\\nsize=32M\\nsize=8M,type=82\\n' | sfdisk -q {image}")
    run("mkfs.ext4", "-q", "-E", f"offset={MIB}", "-U", "a21b21cf-df69-4bd9-ac32-e583002a40a2", image, "32M")
    path = disks.attach(image)
    (disk,) = inventory.collect([path]).disks
    assert (disk.path, disk.size, disk.table) == (path, 64 * MIB, "dos")
    first, second = disk.partitions
    assert (first.start, first.size, first.filesystem) == (MIB, 32 * MIB, "ext4")
    assert (first.path, first.uuid) == (f"{path}p1", "a21b21cf-df69-4bd9-ac32-e583002a40a2")
    assert (second.start, second.size, second.filesystem) == (33 * MIB, 8 * MIB, "")


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_mounted_loop_disk_tells_what_is_used_now(kind: str, disks: LoopDisks) -> None:
    disk = disks.make(400 * MIB, kind)
    before = inventory.collect([disk.path]).disks[0].partitions[0]
    assert before.mount == str(disk.mount)
    (disk.mount / "file").write_bytes(os.urandom(40 * MIB))
    os.sync()
    after = inventory.collect([disk.path]).disks[0].partitions[0]
    assert after.used - before.used == pytest.approx(40 * MIB, rel=0.05)
    assert (after.filesystem, after.size) == (kind, 400 * MIB)
