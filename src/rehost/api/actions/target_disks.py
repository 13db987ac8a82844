"""The target's disks of a job: what is asked for, held against what the source has.

It can be asked for in two shapes: SystemDiskSize, SystemDiskPart and DataDisk name partitions by the source's
devices (0_1), the newer Disks by where they are mounted (/home). Both become the same specification.
"""

from dataclasses import dataclass

from rehost.api import errors
from rehost.api.values import Values
from rehost.core.server import GIB, Disk, Inventory, Partition, device_name, gib
from rehost.store.jobspec import DiskSpec, PartSpec

LVM = "LVM2_member"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request says of one disk, and the names that size and partitions have there."""

    values: Values
    size: str = "Size"
    parts: str = "Part"


def system_disk(inventory: Inventory, values: Values, known: int | None = None) -> DiskSpec:
    """`known`: the GiB that a job has already and keeps if nothing else is asked for."""
    disks = values.struct("Disks")
    system = disks.struct("System") if disks else None
    asked = _Asked(system) if system else _Asked(values, "SystemDiskSize", "SystemDiskPart")
    return _disk(inventory.system_disk, asked, known)


def data_disks(inventory: Inventory, values: Values) -> tuple[DiskSpec, ...]:
    """Those that are asked for; all of the source's when none is."""
    disks = values.struct("Disks")
    asked = disks.structs("Data") if disks else values.structs("DataDisk")
    specs: dict[int, DiskSpec] = {}
    for wanted in asked:
        disk, name = _wanted(inventory, wanted)
        if disk.index in specs:
            raise errors.documented("DataDisk.DuplicateIndex", f"{name} comes again.")
        specs[disk.index] = _disk(disk, _Asked(wanted))
    if not asked:
        nothing = _Asked(Values({}))
        specs = {disk.index: _disk(disk, nothing) for disk in inventory.data_disks}
    return tuple(specs[index] for index in sorted(specs))


def _wanted(inventory: Inventory, asked: Values) -> tuple[Disk, str]:
    """The source's data disk, and how the request names it: by DiskId, else by Index, else by its N."""
    name = "DiskId" if asked.text("DiskId") else "Index"
    key = asked.text("DiskId") or asked.number("Index") or asked.place
    for disk in inventory.data_disks:
        if key in (disk.index, disk.path):
            return disk, f"{asked.full(name)}={key}"
    there = ", ".join(f"{disk.index} ({disk.path})" for disk in inventory.data_disks) or "none"
    raise errors.documented(
        "ReplicationJobDataDiskIndex.Invalid", f"{asked.full(name)}={key}; the source server has {there}."
    )


def _disk(disk: Disk, asked: _Asked, known: int | None = None) -> DiskSpec:
    size = _size(disk, asked, known or gib(disk.size))
    parts = tuple(
        PartSpec(device_name(disk, partition), partition.size, path=partition.mount or partition.path)
        for partition in disk.partitions
    )
    _check_parts(disk, size, asked)
    return DiskSpec(disk.index, size, parts, disk.path, _lvm(disk, asked))


def _size(disk: Disk, asked: _Asked, otherwise: int) -> int:
    """GiB."""
    values, name = asked.values, asked.size
    size = values.number(name)
    if size is None:
        return otherwise
    if size * GIB <= disk.used:
        raise errors.not_allowed(
            values.full(name),
            size,
            f"more than the {disk.used} bytes ({disk.used / GIB:.1f} GiB) in use on {disk.path}",
        )
    if size * GIB < disk.size:
        raise errors.not_yet(
            values.full(name),
            size,
            f"it cannot make a disk smaller, and {disk.path} has {disk.size} bytes",
            f"Ask for at least {gib(disk.size)} GiB, or leave {values.full(name)} out.",
        )
    return size


def _check_parts(disk: Disk, size: int, asked: _Asked) -> None:
    """Partitions are the source's, each once, fit together on the disk, and keep their sizes."""
    parts = asked.values.structs(asked.parts)
    found = [_partition(disk, part) for part in parts]
    sizes = {partition.number: partition.size for partition in disk.partitions}
    for part, partition in zip(parts, found, strict=True):
        if found.count(partition) > 1:
            raise errors.not_allowed(*_named(part), "each partition once")
        sizes[partition.number] = part.number("SizeBytes") or partition.size
    if parts and sum(sizes.values()) > size * GIB:
        raise errors.not_allowed(
            f"{asked.values.full(asked.parts)}.SizeBytes",
            sum(sizes.values()),
            f"partitions of together at most {size} GiB, the disk's size",
        )
    for part, partition in zip(parts, found, strict=True):
        _refuse_resize(part, partition)


def _partition(disk: Disk, part: Values) -> Partition:
    name, key = _named(part)
    for partition in disk.partitions:
        if key and key in (device_name(disk, partition), partition.mount, partition.path):
            return partition
    by_path = name.endswith("Path")
    there = (
        p.mount or p.path if by_path else device_name(disk, p) for p in disk.partitions
    )  # fmt: skip
    raise errors.not_allowed(name, key, ", ".join(there) or "none")


def _named(part: Values) -> tuple[str, str]:
    """The parameter that names a partition, and its value."""
    name = "Path" if part.text("Path") else "Device"
    return part.full(name), part.text(name)


def _refuse_resize(part: Values, partition: Partition) -> None:
    asked = part.number("SizeBytes")
    if asked is not None and asked != partition.size:
        raise errors.not_yet(
            part.full("SizeBytes"),
            asked,
            f"partitions keep their size, {partition.size} bytes for {partition.path}",
            f"Leave {part.full('SizeBytes')} out.",
        )


def _lvm(disk: Disk, asked: _Asked) -> bool:
    """Whether the disk has logical volumes, on the source and then on the target."""
    has = any(partition.filesystem == LVM for partition in disk.partitions)
    wanted = asked.values.truth("LVM")
    if wanted is not None and wanted != has:
        raise errors.not_yet(
            asked.values.full("LVM"),
            str(wanted).lower(),
            f"a disk is copied as it is, and {disk.path} has {'' if has else 'no '}logical volumes",
            f"Leave {asked.values.full('LVM')} out.",
        )
    return has
