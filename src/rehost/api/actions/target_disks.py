"""The target's disks of a new job: what is asked for, held against what the source has."""

from rehost.api import errors
from rehost.api.values import Values
from rehost.core.server import GIB, Disk, Inventory, Partition, device_name, gib
from rehost.store.jobspec import DiskSpec, PartSpec


def system_disk(inventory: Inventory, values: Values) -> tuple[int, tuple[PartSpec, ...]]:
    """Size in GiB, and all partitions."""
    disk = inventory.system_disk
    size = _size(disk, values, "SystemDiskSize")
    return size, _parts(disk, size, values.structs("SystemDiskPart"), "SystemDiskPart")


def data_disks(inventory: Inventory, values: Values) -> tuple[DiskSpec, ...]:
    """Those that are asked for; all of the source's when none is."""
    asked = values.structs("DataDisk")
    if not asked:
        return tuple(
            DiskSpec(d.index, gib(d.size), _parts(d, gib(d.size), (), "")) for d in inventory.data_disks
        )
    there = {disk.index: disk for disk in inventory.data_disks}
    specs: dict[int, DiskSpec] = {}
    for place, wanted in enumerate(asked, 1):
        index = wanted.number("Index") or place
        if index not in there:
            raise errors.documented(
                "ReplicationJobDataDiskIndex.Invalid",
                f"{wanted.full('Index')}={index}; the source server has {_listed(there)}.",
            )
        if index in specs:
            raise errors.documented("DataDisk.DuplicateIndex", f"{wanted.full('Index')}={index} comes again.")
        size = _size(there[index], wanted, "Size")
        parts = _parts(there[index], size, wanted.structs("Part"), wanted.full("Part"))
        specs[index] = DiskSpec(index, size, parts)
    return tuple(specs[index] for index in sorted(specs))


def _size(disk: Disk, values: Values, name: str) -> int:
    """GiB; absent: the smallest size that holds the source's disk."""
    asked = values.number(name)
    if asked is None:
        return gib(disk.size)
    if asked * GIB <= disk.used:
        raise errors.not_allowed(
            values.full(name),
            asked,
            f"more than the {disk.used} bytes ({disk.used / GIB:.1f} GiB) in use on {disk.path}",
        )
    if asked * GIB < disk.size:
        raise errors.not_yet(
            values.full(name),
            asked,
            f"it cannot make a disk smaller, and {disk.path} has {disk.size} bytes",
            f"Ask for at least {gib(disk.size)} GiB, or leave {values.full(name)} out.",
        )
    return asked


def _parts(disk: Disk, size: int, asked: tuple[Values, ...], name: str) -> tuple[PartSpec, ...]:
    """All of the disk's partitions; what is not asked for is as on the source."""
    there = {device_name(disk, partition): partition for partition in disk.partitions}
    sizes = {device: partition.size for device, partition in there.items()}
    seen: set[str] = set()
    for part in asked:
        device = part.text("Device")
        if device not in there:
            raise errors.not_allowed(part.full("Device"), device, _listed(there))
        if device in seen:
            raise errors.not_allowed(part.full("Device"), device, "each partition once")
        seen.add(device)
        sizes[device] = part.number("SizeBytes") or there[device].size
    if asked and sum(sizes.values()) > size * GIB:
        raise errors.not_allowed(
            f"{name}.SizeBytes",
            sum(sizes.values()),
            f"partitions of together at most {size} GiB, the disk's size",
        )
    for part in asked:
        _refuse_resize(part, there[part.text("Device")])
    return tuple(PartSpec(device, partition.size) for device, partition in there.items())


def _refuse_resize(part: Values, partition: Partition) -> None:
    asked = part.number("SizeBytes")
    if asked is not None and asked != partition.size:
        raise errors.not_yet(
            part.full("SizeBytes"),
            asked,
            f"partitions keep their size, {partition.size} bytes for {partition.path}",
            f"Leave {part.full('SizeBytes')} out.",
        )


def _listed(there: object) -> str:
    return ", ".join(map(str, there)) if isinstance(there, dict) and there else "none"
