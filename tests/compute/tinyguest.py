"""A guest of 20 MB that boots like a big one: BIOS, GRUB, a Debian kernel, an agent, logins.

Made once of Debian packages, and cached by the content of this file. A disk of it needs no root, no loop
device and no file system: its one partition is a tar archive, which GRUB can read.
"""

import hashlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from rehost.convert.cache import built_once

SECTOR = 512
PARTITION = 2048  # sectors
MARKER = b"a disk of the tiny guest"

_PACKAGES = "linux-image-cloud-amd64,grub-pc-bin,grub-common,busybox-static,qemu-guest-agent"
_MODULES = [
    *("drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_legacy_dev"),
    *("drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "drivers/block/virtio_blk"),
    *("drivers/char/virtio_console", "net/core/failover", "drivers/net/net_failover"),
    "drivers/net/virtio_net",
]
_GRUB_MODULES = [
    "biosdisk",
    "part_msdos",
    "tar",
    "normal",
    "configfile",
    "linux",
    "echo",
    "serial",
    "terminal",
]

# The web server listens where others have ssh: for forwards to that port.
_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /var/run /var/log
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for pass in 1 2; do for module in $(cat /modules/order); do insmod /modules/$module 2>/dev/null; done; done
hostname tiny
grep -q hang=on /proc/cmdline && sleep 1000
ip link set lo up; ip link set eth0 up
ip addr add $(tr ' ' '\\n' </proc/cmdline | grep address= | cut -d= -f2) dev eth0
ip route add default via 10.0.2.2
httpd -p 22 -h /www
port=$(basename $(dirname $(grep -l guest_agent /sys/class/virtio-ports/*/name)))
[ -e /dev/$port ] && ! grep -q agent=off /proc/cmdline && qemu-ga -d -m virtio-serial -p /dev/$port -t /run
while :; do getty -L 115200 tty1 linux; done &
while :; do getty -L 115200 ttyS0 vt100; done
"""
_SYSTEMCTL = """#!/bin/sh
case $1 in
is-system-running) echo degraded; exit 1;;
list-units) echo "broken.service loaded failed failed Something broken";;
esac
"""
GRUB_CFG = """serial --unit=0 --speed=115200
terminal_output console serial
echo Welcome to GRUB
linux ($root)/vmlinuz console=tty0 console=ttyS0,115200 {cmdline}
{initrd}
boot
"""


@dataclass(frozen=True, slots=True)
class TinyGuest:
    folder: Path

    def disk(
        self, path: Path, *, cmdline: str = "", address: str = "10.0.2.15/24", with_initrd: bool = True
    ) -> Path:
        """A bootable raw disk."""
        initrd = "initrd ($root)/initrd" if with_initrd else ""
        files = {"grub.cfg": GRUB_CFG.format(cmdline=f"{cmdline} address={address}", initrd=initrd).encode()}
        files |= {name: (self.folder / name).read_bytes() for name in ("vmlinuz", "initrd")}
        return self._write(path, _tar(files))

    def _write(self, path: Path, archive: bytes) -> Path:
        boot, core = (self.folder / "boot.img").read_bytes(), (self.folder / "core.img").read_bytes()
        assert len(core) <= (PARTITION - 1) * SECTOR
        entry = b"\x80\0\0\0\x83\0\0\0" + PARTITION.to_bytes(4, "little")
        entry += (len(archive) // SECTOR).to_bytes(4, "little")
        with path.open("wb") as file:
            file.write(boot[:446] + entry.ljust(64, b"\0") + b"\x55\xaa" + core)
            file.seek(PARTITION * SECTOR)
            file.write(archive)
            file.truncate(64 << 20)
        return path


def build(cache: Path) -> TinyGuest:
    """The guest's parts, from the cache if this file has not changed since."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    return TinyGuest(built_once(cache / f"tiny-guest-{key}", _build))


def _build(folder: Path) -> None:
    root = folder / "root"
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={_PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(root / "usr/lib/grub/i386-pc/boot.img", folder / "boot.img")
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    _core(root, folder / "core.img")
    _initrd(root, folder / "tree", folder / "initrd")
    shutil.rmtree(root)
    shutil.rmtree(folder / "tree")


def _core(root: Path, target: Path) -> None:
    (root / "early.cfg").write_text("set root=(hd0,msdos1)\nconfigfile ($root)/grub.cfg\n")
    command = ["chroot", str(root), "grub-mkimage", "-O", "i386-pc", "-o", "/core.img", "-c", "/early.cfg"]
    subprocess.run([*command, "-p", "/", *_GRUB_MODULES], check=True)
    shutil.copy(root / "core.img", target)


def _initrd(root: Path, tree: Path, target: Path) -> None:
    for name in ("bin", "sbin", "lib64", "lib", "modules", "etc", "www"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", tree / "bin/busybox")
    shutil.copy(root / "usr/sbin/qemu-ga", tree / "bin/qemu-ga")
    _libraries(root, tree)
    _modules(root, tree / "modules")
    (tree / "www/index.html").write_bytes(MARKER)
    for name, text in {"init": _INIT, "bin/systemctl": _SYSTEMCTL}.items():
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    script = f"cd {tree} && find . | {root}/bin/busybox cpio -o -H newc | gzip -1 > {target}"
    subprocess.run(["sh", "-ec", script], check=True, stderr=subprocess.DEVNULL)


def _libraries(root: Path, tree: Path) -> None:
    """What qemu-ga is linked with, as the loader itself resolves it."""
    loader = "/lib64/ld-linux-x86-64.so.2"
    command = ["chroot", str(root), loader, "--list", "/usr/sbin/qemu-ga"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    shutil.copy(root / loader[1:], tree / "lib64")
    for path in (word for word in listed.split() if "/lib/" in word):
        shutil.copy(root / path[1:], tree / "lib")


def _modules(root: Path, target: Path) -> None:
    source = next((root / "lib/modules").iterdir()) / "kernel"
    for name in _MODULES:
        shutil.copy(source / f"{name}.ko", target)
    (target / "order").write_text("\n".join(f"{name.rsplit('/', 1)[-1]}.ko" for name in _MODULES))


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
