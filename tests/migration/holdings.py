"""What a migration holds of this host: to see that nothing is left of it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cli.serving import ControlPlane

_LISTENING = "0A"  # a socket's state in /proc/net/tcp


@dataclass(frozen=True)
class Holdings:
    """Everything of a control plane and an agent whose paths have `folder` in them."""

    processes: tuple[str, ...]  # command lines, their numbers as N: one that was started again is the same
    files: tuple[str, ...]  # in the data folder; logs and databases grow at their own will
    open_files: tuple[str, ...]  # of these processes, below the data folder
    mounts: tuple[str, ...]
    loops: tuple[str, ...]  # files behind loop devices
    ports: int  # on which these processes listen
    connections: int  # of the data plane
    tracked: tuple[str, ...]  # disks whose trackers are kept in the kernel, of those given


def holdings(plane: ControlPlane, folder: Path, *disks: str) -> Holdings:
    pids = dict(processes(folder))
    sockets = {inode for pid in pids for inode in _sockets(pid)}
    numbers = [os.stat(disk).st_rdev for disk in disks]
    pins = {disk: f"{os.major(n)}-{os.minor(n)}" for disk, n in zip(disks, numbers, strict=True)}
    return Holdings(
        processes=tuple(sorted(re.sub(r"\d+", "N", line) for line in pids.values())),
        files=tuple(sorted(_files(plane.data))),
        open_files=tuple(sorted(path for pid in pids for path in _open(pid, plane.data))),
        mounts=tuple(
            line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line
        ),
        loops=tuple(sorted(loops(folder))),
        ports=_tcp(sockets)[0],
        connections=_tcp(set(_sockets(plane.receiver_pid())))[1],
        tracked=tuple(disk for disk, name in pins.items() if (Path("/sys/fs/bpf/rehost") / name).exists()),
    )


def processes(folder: Path) -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        pid = int(path.parent.name)
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in line and pid != os.getpid():
            yield pid, line


def _files(data: Path) -> Iterator[str]:
    for path in data.rglob("*"):
        name = str(path.relative_to(data))
        if not name.startswith(("logs", "cache", "rehost.db", "dbos.db")):
            yield name


def _links(pid: int) -> Iterator[str]:
    try:
        for link in list(Path(f"/proc/{pid}/fd").iterdir()):
            try:
                yield os.readlink(link)
            except FileNotFoundError:
                continue
    except (FileNotFoundError, ProcessLookupError):
        return


def _open(pid: int, data: Path) -> Iterator[str]:
    """Replicas and images, deleted ones too: what keeps their bytes on the disk."""
    for target in _links(pid):
        if target.startswith((f"{data}/replicas/", f"{data}/images/")):
            yield target


def _sockets(pid: int) -> Iterator[str]:
    for target in _links(pid):
        if target.startswith("socket:["):
            yield target.removeprefix("socket:[").removesuffix("]")


def _tcp(sockets: set[str]) -> tuple[int, int]:
    """How many of these sockets listen, and how many are connected."""
    listening, connected = 0, 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] not in sockets:
            continue
        if words[3] == _LISTENING:
            listening += 1
        else:
            connected += 1
    return listening, connected


def loops(folder: Path) -> Iterator[str]:
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = path.read_text().strip()
        except OSError:
            continue
        if str(folder) in file:
            yield file
