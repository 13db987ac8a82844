"""A Debian 12 guest that boots in seconds under emulation: its own kernel, LVM, md and Python, and a shell.

Nothing of it is configured or started but by `init`. Made once of Debian packages, and cached.
"""

import compileall
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import blake3
import msgspec
import zstandard

import rehost
from rehost.convert.cache import built_once
from rehost.machine.programs import find
from tests.guest import lvmroot

MIB = 1 << 20
ROOT_SIZE = 192 * MIB
START = MIB  # where the root's partition begins
_INIT = Path(__file__).with_name("init")
_PACKAGES = "linux-image-amd64,busybox-static,kmod,python3,lvm2,mdadm,e2fsprogs"
_LEFT_OUT = (
    *("lib/modules", "boot", "lib/udev", "usr/share", "usr/lib/python3.11/pydoc_data"),
    *("usr/bin/perl", "usr/bin/perl5.36.0", "usr/lib/x86_64-linux-gnu/libperl.so.5.36.0"),
    *(f"usr/lib/x86_64-linux-gnu/{name}" for name in ("gconv", "perl", "perl-base")),
)
_COMMANDS = ("dirname", "grep", "hostname", "ip", "mount", "nc", "ps", "sh", "umount")  # of busybox
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "ahci", "sd_mod", "sg"),
    *("ext4", "dm_mod", "raid1"),
)


@dataclass(frozen=True, slots=True)
class GuestImage:
    """`root` is a disk with an MBR and one partition, with ext4 or LVM in it; never booted itself."""

    kernel: Path
    initrd: Path
    root: Path


def build(cache: Path, lvm: bool = False) -> GuestImage:
    """About a minute once; needs root and the network for Debian packages."""
    makers = (Path(__file__), Path(lvmroot.__file__), _INIT)
    key = hashlib.sha256(b"".join(maker.read_bytes() for maker in makers)).hexdigest()[:16]
    folder = built_once(cache / f"guest-{key}", _build)
    kind = "-lvm" if lvm else ""
    return GuestImage(folder / "vmlinuz", folder / f"initrd{kind}", folder / f"root{kind}.img")


def write_code(target: Path, scratch: Path) -> None:
    """A file system with the agent's code as it is now, with what it needs, and the programs of the tests."""
    for package in (rehost, blake3, msgspec, zstandard):
        source = Path(package.__file__).parent
        shutil.copytree(source, scratch / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(scratch, quiet=1, stripdir=str(scratch))
    for name in (
        "agent/torture.py",
        "agent/agent_process.py",
        "agent/without_bpf.py",
        "guest/passthrough.py",
    ):
        shutil.copy(Path(__file__).parents[1] / name, scratch)
    _make_file_system(scratch, target, 64 * MIB)


def _build(folder: Path) -> None:
    root = folder / "root"
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={_PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), folder / "vmlinuz")
    tree = folder / "tree"
    _fill_initrd(root, tree)
    _pack(tree, root, folder / "initrd")
    lvmroot.add_program(root, tree)
    _pack(tree, root, folder / "initrd-lvm")
    _finish(root)
    _disk(root, folder / "root.img")
    _lvm_disk(root, folder / "root-lvm.img")
    for left in (root, tree):
        shutil.rmtree(left)


def _fill_initrd(root: Path, tree: Path) -> None:
    for name in ("bin", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", tree / "bin")
    shutil.copy(_INIT, tree / "init")
    order = list(_drivers(root))
    for driver in order:
        shutil.copy(driver, tree / "modules")
    (tree / "modules/order").write_text("".join(f"{driver.name}\n" for driver in order))


def _pack(tree: Path, root: Path, target: Path) -> None:
    script = f"cd {tree} && find . | {root}/bin/busybox cpio -o -H newc | gzip -1 > {target}"
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)


def _drivers(root: Path) -> Iterator[Path]:
    """The modules and what they need, in the order to insert them."""
    version = next((root / "lib/modules").iterdir()).name
    subprocess.run(["chroot", root, "depmod", version], check=True)
    seen = set()
    for module in _MODULES:
        command = ["chroot", root, "modprobe", "--set-version", version, "--show-depends", module]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            kind, path = line.split()[:2]
            if kind == "insmod" and path not in seen:
                seen.add(path)
                yield root / path.lstrip("/")


def _finish(root: Path) -> None:
    for name in ("dev", "opt", "proc", "root", "run", "srv", "sys", "tmp"):
        (root / name).mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", *(root / name for name in _LEFT_OUT)], check=True)
    for name in _COMMANDS:
        (root / "bin" / name).symlink_to("busybox")
    shutil.copy(_INIT, root / "init")
    compiling = [
        "python3",
        "-m",
        "compileall",
        "-q",
        "-x",
        "(asyncio|unittest|lib2to3)/",
        "/usr/lib/python3.11",
    ]
    subprocess.run(["chroot", root, *compiling], check=True)


def _disk(root: Path, target: Path) -> None:
    _divide(target)
    _make_file_system(root, target, ROOT_SIZE - START, START)


def _lvm_disk(root: Path, target: Path) -> None:
    _divide(target)
    lvmroot.make_volumes(root, target)
    size = (ROOT_SIZE - lvmroot.START) // lvmroot.EXTENT * lvmroot.EXTENT
    _make_file_system(root, target, size, lvmroot.START)


def _divide(target: Path) -> None:
    with target.open("wb") as file:
        file.truncate(ROOT_SIZE)
    subprocess.run([find("sfdisk"), "--quiet", target], check=True, input=b"label: dos\n2048,,83\n")


def _make_file_system(content: Path, target: Path, size: int, start: int = 0) -> None:
    options = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-N",
        "8192",
        "-J",
        "size=8",
        "-d",
        content,
        "-E",
        f"offset={start},root_owner=0:0",
    ]
    subprocess.run(
        [find("mke2fs"), *options, target, f"{size >> 10}k"], check=True, stderr=subprocess.DEVNULL
    )
