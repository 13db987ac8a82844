"""What the guest side refuses, on folders that stand for a guest's mounted file systems."""

from pathlib import Path

import pytest

from rehost.convert.guest import conversion, inspection, modules
from rehost.convert.guest.initramfs import Kernel
from rehost.convert.guest.job import Job
from rehost.convert.guest.system import GuestError
from rehost.convert.guest.tree import Changes, Tree
from tests.convert.names import NAMES, ROOT


def guest_of(tree: Tree) -> conversion.Guest:
    return conversion.Guest(Job((), "", "", ""), tree, Changes(tree), NAMES, ROOT, [])


def test_other_families(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('PRETTY_NAME="Rocky Linux 9"\nID=rocky\nID_LIKE="rhel fedora"\n')
    with pytest.raises(GuestError, match="the system on /dev/sda1 is Rocky Linux 9") as raised:
        inspection.describe(Tree(tmp_path), ROOT, [])
    assert inspection.SUPPORTED in raised.value.advice


def test_a_guest_without_a_menu(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("PRETTY_NAME=Devuan\nID=devuan\nID_LIKE=debian\n")
    with pytest.raises(GuestError, match=r"Devuan on /dev/sda1 has no /boot/grub/grub.cfg"):
        inspection.describe(Tree(tmp_path), ROOT, [])


def test_boot_records() -> None:
    inspection.check_boot_record("/dev/sda", "dos", b"\xeb\x63 GRUB \0Geom")
    with pytest.raises(GuestError, match="is of the type gpt"):
        inspection.check_boot_record("/dev/sda", "gpt", b"GRUB")
    with pytest.raises(GuestError, match="boot record of /dev/sda is not GRUB"):
        inspection.check_boot_record("/dev/sda", "dos", b"LILO")


def kernel(version: str, dep: str, builtin: str = "") -> Kernel:
    return Kernel(version, Path("/nowhere"), modules.index(dep, builtin))


def test_kernels_without_virtio(tmp_path: Path) -> None:
    guest = guest_of(Tree(tmp_path))
    old = kernel("3.2", "kernel/virtio_pci.ko:\n")
    with pytest.raises(GuestError, match=r"no kernel .* virtio_pci and virtio_blk \(kernels: 3.2\)"):
        conversion.drivers(guest, [old], [])
    with pytest.raises(GuestError, match=r"kernels: none with modules"):
        conversion.drivers(guest, [], [])
    built_in = kernel("6.1", "", "kernel/virtio_pci.ko kernel/virtio_blk.ko")
    conversion.drivers(guest, [old, built_in], [])
    assert guest.notes == ["the kernel 3.2 has no virtio drivers and will not boot"]


def test_kernels_are_those_with_an_image_and_modules(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/modules").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "boot").mkdir()
    for version in ("5.10", "6.1", "left-over"):
        (tmp_path / f"lib/modules/{version}").mkdir()
    for version in ("5.10", "6.1"):
        (tmp_path / f"lib/modules/{version}/modules.dep").write_text("kernel/a.ko:\n")
    for version in ("6.1", "left-over"):
        (tmp_path / f"boot/vmlinuz-{version}").touch()
    (found,) = conversion.find_kernels(Tree(tmp_path))
    assert found.version == "6.1"
    assert found.modules == tmp_path / "usr/lib/modules/6.1"
    assert found.index.has("a")
