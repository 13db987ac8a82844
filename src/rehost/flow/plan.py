"""Which disks of a source a job copies, and how large they are at the target: pure."""

from collections.abc import Sequence

from rehost.compute.driver import VolumeSpec
from rehost.core.agentapi import AssignmentVolume
from rehost.core.errors import SourceDiskChangedError
from rehost.core.extent import chunk_size_for
from rehost.core.server import GIB, Disk, Inventory
from rehost.store.jobspec import JobSpec


def disks_of(spec: JobSpec, inventory: Inventory) -> tuple[Disk, ...]:
    """The source's disks that the job copies: the system disk and the data disks that it names.

    SourceDiskChangedError when a named disk is not there.
    """
    there = {disk.index: disk for disk in inventory.data_disks}
    missing = [disk.index for disk in spec.data_disks if disk.index not in there]
    if missing:
        raise SourceDiskChangedError(
            f"the source server has no data disk with index {', '.join(map(str, missing))} any more",
            "attach the disk again, or delete the job and create one with the disks that are there",
        )
    wanted = sorted(disk.index for disk in spec.data_disks)
    return (inventory.system_disk, *(there[index] for index in wanted))


def volumes_of(disks: Sequence[Disk]) -> tuple[VolumeSpec, ...]:
    return tuple(VolumeSpec(disk.index, disk.size, chunk_size_for(disk.size), _used(disk)) for disk in disks)


def assignment_volumes(disks: Sequence[Disk]) -> tuple[AssignmentVolume, ...]:
    return tuple(
        AssignmentVolume(disk.index, disk.path, disk.size, chunk_size_for(disk.size)) for disk in disks
    )


def target_sizes(spec: JobSpec) -> dict[int, int]:
    """Bytes of the target's disks, where the job asks for a size."""
    return {disk.index: disk.size * GIB for disk in (spec.system_disk, *spec.data_disks) if disk.size}


def _used(disk: Disk) -> int | None:
    """Bytes that the copy writes, as far as they are known: swap is copied as its header only."""
    if not disk.partitions:
        return None
    copied = [p for p in disk.partitions if p.filesystem != "swap"]
    return sum(p.size if p.used is None else p.used for p in copied)
