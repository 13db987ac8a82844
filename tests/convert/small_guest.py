"""A small disk with what a conversion looks at: enough of a Debian to be converted, nothing that could boot.

Made without root: mke2fs fills a file system at an offset, debugfs reads it back.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from rehost.core.server import BootMode, Disk, Interface, Inventory, Partition
from rehost.machine.programs import find

SYSTEM = 24 << 20  # bytes of the root partition
BOOT = 12 << 20
START = 1 << 20
ROOT_UUID = "11111111-2222-3333-4444-555555555555"
BOOT_UUID = "66666666-7777-8888-9999-aaaaaaaaaaaa"
MAC = "52:54:00:12:34:56"

FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n',
    "etc/fstab": (
        "/dev/sda2 / ext4 defaults 0 1\n/dev/sda1 /boot ext2 defaults 0 2\n"
        "/dev/sdx1 /data ext4 defaults 0 2\n"
    ),
    "etc/default/grub": 'GRUB_CMDLINE_LINUX=""\n',
    "etc/initramfs-tools/modules": "# none\n",
    "etc/initramfs-tools/conf.d/resume": "RESUME=/dev/sdx2\n",
    "etc/udev/rules.d/70-persistent-net.rules": 'ATTR{address}=="52:54:00:12:34:56", NAME="eth0"\n',
    "etc/systemd/network/lan.network": f"[Match]\nMACAddress={MAC}\n",
    "var/lib/dpkg/status": "Package: open-vm-tools\nStatus: install ok installed\nVersion: 12\n",
}
BOOT_FILES = {"grub/grub.cfg": "linux /vmlinuz-6.1 root=/dev/sda2\n", "vmlinuz-6.1": "kernel"}
MODULES = {
    "kernel/virtio_pci.ko": "pci",
    "kernel/virtio_blk.ko": "blk",
    "modules.dep": "kernel/virtio_pci.ko:\nkernel/virtio_blk.ko: kernel/virtio_pci.ko\n",
    "modules.builtin": "kernel/sd_mod.ko\n",
}


@dataclass(frozen=True)
class SmallGuest:
    """A source's disk with /boot on its first partition and / on the second."""

    table: str = "dos"
    boot_code: bytes = b"GRUB "
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    boot_files: dict[str, str] = field(default_factory=lambda: dict(BOOT_FILES))
    modules: dict[str, str] = field(default_factory=lambda: dict(MODULES))
    initrd: bytes = b"a compressed image"

    def inventory(self, boot_mode: BootMode = BootMode.BIOS) -> Inventory:
        boot = Partition(0, "/dev/sda1", START, BOOT, "ext2", mount="/boot")
        root = Partition(1, "/dev/sda2", START + BOOT, SYSTEM, "ext4", mount="/")
        disk = Disk(0, "/dev/sda", START + BOOT + SYSTEM, "dos", partitions=(boot, root))
        card = Interface("eth0", MAC, ("192.0.2.7/24",))
        return Inventory("shop", "Other", "x86_64", "6.1", boot_mode, 1, 1 << 30, (disk,), (card,))

    def write(self, disk: Path, scratch: Path) -> None:
        """Partitions, boot code and both file systems."""
        with disk.open("wb") as file:
            file.truncate(START + BOOT + SYSTEM + START)
        sectors = f"label: {self.table}\n2048,{BOOT // 512},L\n{(START + BOOT) // 512},{SYSTEM // 512},L\n"
        _run("sfdisk", "--quiet", disk, input=sectors.encode())
        with disk.open("r+b") as file:
            file.seek(100)
            file.write(self.boot_code)
        _fill(scratch / "boot", self.boot_files)
        (scratch / "boot/initrd.img-6.1").write_bytes(self.initrd)
        _fill(scratch / "root", self.files)
        _fill(scratch / "root/lib/modules/6.1", self.modules)
        _fill(scratch / "root", {"boot/.keep": "", "proc/.keep": ""})
        _make(disk, "ext2", START, BOOT, BOOT_UUID, scratch / "boot")
        _make(disk, "ext4", START + BOOT, SYSTEM, ROOT_UUID, scratch / "root")


def overlay_of(disk: Path, overlay: Path) -> Path:
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", disk.resolve(), "-F", "raw", overlay)
    return overlay


def read(overlay: Path, path: str, start: int = START + BOOT) -> bytes | None:
    """A file on one of the overlay's partitions; None if it is not there."""
    raw = overlay.with_suffix(".flat")
    _run("qemu-img", "convert", "-O", "raw", overlay, raw)
    done = _run("debugfs", "-R", f"cat {path}", f"{raw}?offset={start}")
    return None if b"File not found" in done.stderr else done.stdout


def _fill(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


def _make(disk: Path, kind: str, start: int, size: int, uuid: str, content: Path) -> None:
    options = ("-q", "-F", "-t", kind, "-U", uuid, "-d", content, "-E", f"offset={start},root_owner=0:0")
    _run("mke2fs", *options, disk, f"{size >> 10}k")


def _run(program: str, *arguments: str | Path, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [str(find(program)), *map(str, arguments)]
    return subprocess.run(command, input=input, check=True, capture_output=True)
