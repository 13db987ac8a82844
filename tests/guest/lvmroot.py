"""A root on LVM: its disk, made without device-mapper, and what the initial RAM disk needs to find it."""

import shutil
from pathlib import Path

from tests.loopdisks import run

MIB = 1 << 20
PARTITION = MIB  # where the physical volume begins
START = PARTITION + MIB  # where the extents of vg/root begin
EXTENT = 4 * MIB
_LIBRARIES = "lib/x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
_MAKE = (
    ("pvcreate", "{device}"),
    ("vgcreate", "vg", "{device}"),
    ("lvcreate", "--name", "root", "--extents", "100%FREE", "--activate", "n", "--zero", "n", "vg"),
)


def add_program(root: Path, tree: Path) -> None:
    """`lvm` and its libraries from `root`."""
    words = run(*_loaded(root), "--list", root / "sbin/lvm").split()
    for file in (root / "sbin/lvm", *(Path(word) for word in words if word.startswith(f"{root}/"))):
        _copy(file, tree / file.relative_to(root))
    _copy(root / _LIBRARIES / _LOADER, tree / "lib64" / _LOADER)


def make_volumes(root: Path, disk: Path) -> None:
    """vg/root, of all that the partition has; by the tools in `root`, which activate nothing."""
    device = run("losetup", "--find", "--show", f"--offset={PARTITION}", disk)
    lvm = ("env", f"LVM_SYSTEM_DIR={root}/etc/lvm", *_loaded(root), root / "sbin/lvm")
    try:
        for words in _MAKE:
            command = (word.format(device=device) for word in words)
            run(*lvm, *command, "--devices", device, "--driverloaded", "n")
    finally:
        run("losetup", "--detach", device)


def _loaded(root: Path) -> tuple[str | Path, ...]:
    """How a program in `root` runs here, with the libraries there."""
    return root / _LIBRARIES / _LOADER, "--library-path", f"{root}/{_LIBRARIES}:{root}/usr/{_LIBRARIES}"


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)
