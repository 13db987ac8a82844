"""Conversions of a small disk in the real helper VM: some ten seconds each under emulation."""

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rehost.convert import helper_build, helper_vm, job_tar
from rehost.convert.conversion import convert, main_interface
from rehost.convert.report import ConversionReport
from rehost.core.errors import ConversionError
from rehost.core.server import BootMode, Interface, Inventory
from rehost.machine import accel
from tests.convert.small_guest import (
    BOOT_UUID,
    MAC,
    MODULES,
    ROOT_UUID,
    START,
    SmallGuest,
    overlay_of,
    read,
)

NEW_MAC = "02:00:00:00:00:07"


def attempt(
    guest: SmallGuest, folder: Path, cache: Path, inventory: Inventory | None = None
) -> tuple[ConversionReport, Path]:
    """Convert a fresh overlay; the disk below it must stay as it is, whatever comes of the conversion."""
    disk, overlay = folder / "disk.raw", folder / "disk.qcow2"
    guest.write(disk, folder / "scratch")
    overlay_of(disk, overlay)
    before = hashlib.sha256(disk.read_bytes()).digest()
    try:
        return convert([overlay], inventory or guest.inventory(), NEW_MAC, cache, folder / "work"), overlay
    finally:
        assert hashlib.sha256(disk.read_bytes()).digest() == before


@pytest.mark.vm
def test_everything_that_binds_a_system_to_its_hardware_is_changed(tmp_path: Path, cache: Path) -> None:
    report, overlay = attempt(SmallGuest(), tmp_path, cache)

    assert (
        read(overlay, "/etc/fstab")
        == (
            f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID={BOOT_UUID} /boot ext2 defaults 0 2\n"
            "/dev/sdx1 /data ext4 defaults,nofail 0 2\n"
        ).encode()
    )
    assert read(overlay, "/grub/grub.cfg", START) is not None
    assert f"root=UUID={ROOT_UUID} console=tty0".encode() in (read(overlay, "/grub/grub.cfg", START) or b"")
    image = read(overlay, "/initrd.img-6.1", START) or b""
    assert image.startswith(SmallGuest().initrd)
    assert b"lib/modules/6.1/kernel/virtio_blk.ko\0" in image
    assert b"RESUME=none\n" in image
    link = read(overlay, "/etc/systemd/network/10-rehost-eth0.link") or b""
    assert NEW_MAC.encode() in link
    assert link in image, "udev renames interfaces inside the initramfs already"
    assert NEW_MAC.encode() in (read(overlay, "/etc/systemd/network/lan.network") or b"")
    assert read(overlay, "/etc/udev/rules.d/70-persistent-net.rules") is None

    paths = {change.path: change for change in report.changes}
    assert set(paths) >= {"/etc/fstab", "/boot/grub/grub.cfg", "/boot/initrd.img-6.1", "/etc/default/grub"}
    assert paths["/etc/udev/rules.d/70-persistent-net.rules"].kind == "removed"
    assert paths["/etc/systemd/system/open-vm-tools.service"].diff == "symbolic link to /dev/null\n"
    assert all(change.reason for change in report.changes)
    assert "+UUID=" in paths["/etc/fstab"].diff
    after = paths["/boot/initrd.img-6.1"].after
    assert after is not None
    assert after.sha256 == hashlib.sha256(image).hexdigest()
    assert report.system.kernels == ("6.1",)
    assert any("/dev/sdx1" in note for note in report.notes)
    assert any("qemu-guest-agent is not installed" in note for note in report.notes)
    assert Path(report.log).read_text()
    assert msgspec.json.decode(msgspec.json.encode(report), type=ConversionReport) == report

    again = convert([overlay], SmallGuest().inventory(), NEW_MAC, cache, tmp_path / "work")
    assert again.changes == (), "converting twice is converting once"


@pytest.mark.vm
def test_what_cannot_be_converted_is_refused_in_words(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ConversionError, match="partition table of /dev/sda is of the type gpt") as raised:
        attempt(SmallGuest(table="gpt"), tmp_path, cache)
    assert "what can be converted now: Debian" in raised.value.advice


@pytest.mark.vm
def test_a_full_boot_partition_is_named(tmp_path: Path, cache: Path) -> None:
    large = {**MODULES, "kernel/virtio_blk.ko": "x" * (13 << 20)}
    with pytest.raises(ConversionError, match=r"/boot/initrd.img-6.1 cannot take \d+ bytes more"):
        attempt(SmallGuest(modules=large), tmp_path, cache)


@pytest.mark.vm
def test_a_file_system_with_errors_is_not_touched_further(tmp_path: Path, cache: Path) -> None:
    disk, overlay, guest = tmp_path / "disk.raw", tmp_path / "disk.qcow2", SmallGuest()
    guest.write(disk, tmp_path / "scratch")
    with disk.open("r+b") as file:  # the root folder's inode, among others
        file.seek(guest.inventory().disks[0].partitions[1].start + (8 << 10))
        file.write(b"\xff" * (600 << 10))
    overlay_of(disk, overlay)
    with pytest.raises(ConversionError, match=r"has errors that e2fsck -p leaves"):
        convert([overlay], guest.inventory(), NEW_MAC, cache, tmp_path / "work")


def test_uefi_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="the source shop boots by UEFI"):
        convert([tmp_path / "x"], SmallGuest().inventory(BootMode.UEFI), NEW_MAC, tmp_path, tmp_path)


def test_more_overlays_than_disks_are_refused(tmp_path: Path) -> None:
    overlays = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(ConversionError, match="2 disks were copied of shop, which has 1"):
        convert(overlays, SmallGuest().inventory(), NEW_MAC, tmp_path, tmp_path)


@pytest.fixture
def other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the guest side's code."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.setattr(job_tar, "GUEST_CODE", folder)
    return folder


def run(cache: Path, work: Path, deadline: float) -> None:
    vm = helper_build.get(cache)
    helper_vm.run(vm, {}, {}, (), work, accelerator=accel.choose(cache), deadline=deadline)


@pytest.mark.vm
def test_a_helper_vm_that_hangs_meets_its_deadline(other_code: Path, tmp_path: Path, cache: Path) -> None:
    (other_code / "start.sh").write_text("echo still here; while :; do /bin/busybox sleep 1; done\n")
    with pytest.raises(ConversionError, match=r"did not end within 10 s; its last words:"):
        run(cache, tmp_path / "work", deadline=10)


@pytest.mark.vm
def test_a_helper_vm_that_dies_is_quoted(other_code: Path, tmp_path: Path, cache: Path) -> None:
    (other_code / "start.sh").write_text("echo out of memory; /bin/busybox reboot -f\n")
    with pytest.raises(ConversionError, match=r"(?s)ended without an answer; its last words:.*out of memory"):
        run(cache, tmp_path / "work", deadline=120)


@pytest.mark.vm
def test_an_error_nobody_thought_of_comes_back(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ConversionError, match="KeyError: 'disks': the log is"):
        run(cache, tmp_path / "work", deadline=120)
    assert "Traceback" in (tmp_path / "work" / helper_vm.LOG_NAME).read_text()


def test_the_first_card_with_an_address_is_the_main_one() -> None:
    inventory = SmallGuest().inventory()
    cards = (
        Interface("lo", "", ("127.0.0.1/8",)),
        Interface("eth0", MAC),
        Interface("eth1", MAC, ("192.0.2.1/24",)),
    )
    assert main_interface(replace(inventory, interfaces=cards)) == cards[2]
    assert main_interface(replace(inventory, interfaces=cards[:2])) == cards[1]
    assert main_interface(replace(inventory, interfaces=())) is None
