"""The helper VM's own system: programs, block devices, mounts."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

LOG_LIMIT = 4000  # characters of a program's output in an error


class GuestError(Exception):
    """The conversion cannot go on: what happened, to what, and what to do next."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice


def run(*argv: str, allowed: Sequence[int] = (0,)) -> str:
    """The output (both streams) of a program; GuestError for an exit status that is not allowed."""
    print("+", *argv, flush=True)
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace"
    )
    if done.returncode not in allowed:
        print(done.stdout, flush=True)
        raise GuestError(f"{' '.join(argv)} ended with status {done.returncode}: {done.stdout[-LOG_LIMIT:]}")
    return done.stdout


def disk_of_serial(serial: str) -> str:
    """The name of the virtio disk with a serial number: vda."""
    for file in Path("/sys/block").glob("vd*/serial"):
        if file.read_text().strip() == serial:
            return file.parent.name
    raise GuestError(f"the helper VM does not see the disk {serial}")


def partitions(disk: str) -> dict[str, int]:
    """The partitions of a disk and where they begin, in bytes: {"vda1": 1048576}."""
    files = sorted(Path(f"/sys/block/{disk}").glob(f"{disk}*/start"), key=lambda file: int(file.read_text()))
    return {file.parent.name: int(file.read_text()) * 512 for file in files}


def probe(device: str) -> dict[str, str]:
    """What `blkid -p` finds on a device; empty when it finds nothing."""
    text = run("blkid", "-p", "-o", "export", device, allowed=(0, 2))
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def repair(device: str, kind: str) -> str | None:
    """Replay the journal and repair what is safe to repair; what was done, None if nothing was."""
    if not kind.startswith("ext"):
        return None  # xfs and btrfs do it by mounting
    # 0 clean, 1 and 2 repaired; 4 and more: errors are left
    print("+ e2fsck -p", device, flush=True)
    done = subprocess.run(
        ["e2fsck", "-p", device], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        errors="replace",
    )  # fmt: skip
    if done.returncode > 2:
        raise GuestError(
            f"the file system on {device} has errors that e2fsck -p leaves: {done.stdout[-LOG_LIMIT:]}",
            "repair it on the source (e2fsck at its next boot) and start the job again",
        )
    return done.stdout.strip() if done.returncode or "recovering journal" in done.stdout else None


def mount(device: str, point: Path, kind: str) -> None:
    os.makedirs(point, exist_ok=True)
    run("mount", "-t", kind, device, str(point))


def unmount(point: Path) -> None:
    run("umount", "--recursive", str(point))
