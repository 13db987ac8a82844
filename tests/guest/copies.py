"""Copies of a guest's disks under torture: what was frozen and the replica are equal on every used block."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rehost.core.agentapi import RunReport
from rehost.core.extent import Extent, Extents, subtract
from rehost.core.round import RoundKind
from rehost.track.fsmap import free_extents
from tests.agent.copying import differing_bytes
from tests.guest.job import GuestJob
from tests.guest.machine import Guest
from tests.loopdisks import LoopDisks, open_folder, run

FEW, MANY = 3, 50
STATE = "/run/state"  # where a guest's agent keeps what it knows from run to run
_TURNS = 5

# Given images of the disks, and a folder for what has to be cut out of them: images of the file systems
FileSystems = Callable[[list[Path], Path], list[Path]]


@dataclass(frozen=True)
class Layout:
    """Where the file systems of a job's disks lie; all of them are ext4."""

    names: tuple[str, ...]  # the disks, as the guest calls them
    points: Mapping[str, list[str]]  # for each mount point the partitions below it, as a report names them
    folders: tuple[str, ...]  # that are tortured, one in each file system
    heads: Mapping[str, int]  # bytes at a disk's beginning that belong to no file system
    file_systems: FileSystems


def many_times(guest: Guest, layout: Layout, folder: Path, disks: LoopDisks, times: int) -> None:
    """Of five copies the first goes into an empty replica, the fourth compares it by digest, and the others
    build on the one before; where the audit doubts, which it does now and then, digests are compared instead:
    then there are up to five more, until one was built."""
    turn = built = 0
    with ExitStack() as stack:
        guest.run(f"mkdir -p {STATE} {' '.join(layout.folders)}")
        job = stack.enter_context(GuestJob(guest, layout.names, folder, STATE))
        for seed, torture in enumerate(layout.folders):
            stack.enter_context(guest.tortured(torture, seed))
        while turn < times or (not built and turn < times + _TURNS):
            if turn % _TURNS == 0:
                job.site.renew()
            if turn % _TURNS == 3:
                job.base_roots = ()
            report = copy_once(job, layout, folder, disks)
            job.base_roots = report.roots
            built += report.rounds[0].kind is RoundKind.DELTA
            turn += 1
            print(f"copy {turn} is equal and checked", flush=True)
    print(f"{turn} copies equal and checked, {built} of them built on the one before")
    assert built > 0


def copy_once(job: GuestJob, layout: Layout, folder: Path, disks: LoopDisks) -> RunReport:
    frozen = [folder / f"frozen-{name}.img" for name in layout.names]

    def keep() -> None:
        for name, image in zip(layout.names, frozen, strict=True):
            run("cp", "--sparse=always", job.guest.disks[name], image)

    report = job.carry_out(keep)
    ones = layout.file_systems(frozen, _made(folder / "ones"))
    others = layout.file_systems(job.replicas, _made(folder / "others"))
    for one, other in zip(ones, others, strict=True):
        assert differing_bytes(one, other, _used(one, disks)) == []
        run("e2fsck", "-fn", other)
    for name, size in layout.heads.items():
        place = layout.names.index(name)
        assert differing_bytes(frozen[place], job.replicas[place], [Extent(0, size)]) == []
    assert {part.way for part in report.consistency} == {"frozen"}
    for point, devices in layout.points.items():
        told = [part.device for part in report.consistency if f"ext4 on {point} frozen" in part.reason]
        assert told == devices
    return report


def part_of(disk: Path, start: int, target: Path) -> Path:
    """All that a disk has from `start` on, a multiple of MiB, as a sparse file."""
    run("dd", f"if={disk}", f"of={target}", "bs=1M", f"skip={start >> 20}", "conv=sparse")
    return target


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _used(image: Path, disks: LoopDisks) -> Extents:
    """What is not free in a frozen file system, as this host's kernel tells.

    Not all of it: ext4 goes on with trims of free blocks while it is frozen.
    """
    with (
        disks.attached(image) as device,
        disks.mounted(device, "-t", "ext4", "-o", "ro,noload") as mount,
        open_folder(mount) as fd,
    ):
        free = free_extents(fd, mount.stat().st_dev)
    assert free
    return subtract(Extent(0, image.stat().st_size), free)
