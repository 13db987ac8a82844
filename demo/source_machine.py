"""The demo's source machine: a small Debian server on two disks, made once and kept.

What is kept is never booted: whoever boots it puts an overlay over the disks.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.core.errors import MachineError, MissingProgramError

FILES = Path(__file__).parent / "source"
SYSTEM_SIZE = 2560 << 20
DATA_SIZE = 1 << 30
PROGRAMS = ("mmdebstrap", "losetup", "sfdisk", "mkfs.ext4", "unshare", "ssh-keygen")

# What the disks' content expects of the machine that boots them.
INTERFACE = "ens5"  # an e1000 card in slot 5 of a machine with the chipset "pc"
ADDRESS = "10.0.2.15/24"
RECORDS = "/var/lib/recorder/records.log"


@dataclass(frozen=True, slots=True)
class SourceMachine:
    """Pristine disks (raw; MBR, GRUB, ext4, swap; ext4 with data) and the key that root's ssh login takes."""

    system_disk: Path
    data_disk: Path
    ssh_key: Path


def build(cache: Path) -> SourceMachine:
    """The machine's disks from the cache folder, made first where they are not there or their recipe changed.

    Takes about a minute once. Needs root (or sudo without a password) for loop devices and the network for
    Debian packages. MissingProgramError, MachineError with the log's path.
    """
    _check_programs()
    cache.mkdir(parents=True, exist_ok=True)
    key = _recipe_key(FILES.iterdir())
    folder = cache / f"source-{key}"
    machine = SourceMachine(folder / "system.raw", folder / "data.raw", folder / "ssh-key")
    with _locked(cache / "source.lock"):
        if not folder.exists():
            tarball = _root_tarball(cache)
            _build_disks(machine, tarball, folder)
    return machine


def _root_tarball(cache: Path) -> Path:
    tarball = cache / f"source-root-{_recipe_key([FILES / 'root.sh'])}.tar"
    if not tarball.exists():
        partial = tarball.with_suffix(".partial.tar")
        _run(["sh", str(FILES / "root.sh"), str(partial)], cache / "source-root.log")
        partial.rename(tarball)
    return tarball


def _build_disks(machine: SourceMachine, tarball: Path, folder: Path) -> None:
    """Everything is made beside its place: the folder is there whole or not at all."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    disks = [partial / machine.system_disk.name, partial / machine.data_disk.name]
    for disk, size in zip(disks, (SYSTEM_SIZE, DATA_SIZE), strict=True):
        with disk.open("wb") as file:
            file.truncate(size)
    ssh_key = partial / machine.ssh_key.name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rehost-demo", "-f", ssh_key], check=True
    )
    script = ["unshare", "--mount", "sh", FILES / "disks.sh", *disks, tarball, FILES, f"{ssh_key}.pub"]
    _run([*_as_root(), *map(str, script)], folder.parent / "source-disks.log")
    partial.rename(folder)


def _run(command: list[str], log: Path) -> None:
    with log.open("wb") as output:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    if result.returncode:
        tail = log.read_text(errors="replace").splitlines()[-1:] or ["no output"]
        raise MachineError(f"building the source machine failed: {tail[0]}", f"see {log}")


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]


def _check_programs() -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        raise MissingProgramError(f"not installed here: {', '.join(missing)}", "run scripts/setup as root")


def _recipe_key(files: Iterator[Path] | list[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two that build at the same time would write the same files: the second waits, then finds all there."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
