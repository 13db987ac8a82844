"""Which disks are the server's, which of them is the system disk, and what lies on each."""

import re
from collections.abc import Iterator, Sequence

from rehost.agent.survey.host import Host
from rehost.agent.survey.parse import proc, superblock, sysfs, table
from rehost.agent.survey.parse.sysfs import BlockDevice, KernelPartition
from rehost.core.errors import InvalidValueError, NotFoundError
from rehost.core.server import Disk, Partition

# Made of other devices, of memory or of files, or not for keeps: never a disk of the server by themselves.
_NOT_DISKS = re.compile(r"(?:loop|ram|zram|sr|scd|fd|dm-|md|mtdblock|drbd|bcache|rbd|zd)\d*")


def collect(host: Host, wanted: Sequence[str] = ()) -> tuple[Disk, ...]:
    """The disks by index: the system disk first, then the others in the kernel's order.

    `wanted` names devices (/dev/sdb) that are to be taken instead, whatever they are, in the order given.
    NotFoundError for a name that is no disk, SourceReadError for a disk that cannot be read.
    """
    chosen, mounts = _chosen(host, wanted)
    if not chosen:
        raise NotFoundError("this server has no disk", "name the disks to migrate with --disk /dev/NAME")
    return tuple(_disk(host, index, device, mounts) for index, device in enumerate(chosen))


def present(host: Host, wanted: Sequence[str] = ()) -> frozenset[str]:
    """The paths of the disks that `collect` would tell of, without a look at what is on them."""
    return frozenset(device.path for device in _chosen(host, wanted)[0])


def _chosen(host: Host, wanted: Sequence[str]) -> tuple[list[BlockDevice], list[proc.Mount]]:
    devices = sysfs.block_devices(host.path("/sys"))
    mounts = proc.mounts(host.text("/proc/self/mountinfo"))
    return (_named(devices, wanted) if wanted else _own(devices, mounts)), mounts


def _named(devices: dict[str, BlockDevice], wanted: Sequence[str]) -> list[BlockDevice]:
    by_path = {device.path: device for device in devices.values()}
    if len(set(wanted)) != len(wanted):
        raise InvalidValueError(f"a disk is named twice: {', '.join(wanted)}", "name each disk once")
    for path in wanted:
        if path not in by_path or not by_path[path].size:
            known = ", ".join(path for path, device in by_path.items() if device.size)
            raise NotFoundError(f"there is no disk {path}", f"this server has {known}")
    return [by_path[path] for path in wanted]


def _own(devices: dict[str, BlockDevice], mounts: Sequence[proc.Mount]) -> list[BlockDevice]:
    system = _system_disk(devices, mounts)
    others = [
        device
        for device in devices.values()
        if device.size
        and not device.hidden
        and not device.removable
        and not _NOT_DISKS.fullmatch(device.name)
    ]
    if system is None:
        return others
    return [system, *(device for device in others if device is not system)]


def _system_disk(devices: dict[str, BlockDevice], mounts: Sequence[proc.Mount]) -> BlockDevice | None:
    """The disk below `/`; where that is several (LVM, md), the one of them that boots."""
    below = {point: list(_disks_below(devices, mounts, point)) for point in ("/", "/boot", "/boot/efi")}
    boot = below["/boot"] + below["/boot/efi"]
    for disk in below["/"]:
        if disk in boot:
            return disk
    return next(iter(below["/"] + boot), None)


def _disks_below(
    devices: dict[str, BlockDevice], mounts: Sequence[proc.Mount], point: str
) -> Iterator[BlockDevice]:
    """Later mounts cover earlier ones at the same point (rootfs)."""
    for mount in reversed(mounts):
        if mount.point == point:
            name = _mounted_name(devices, mount)
            found = set(_physical(devices, name))
            yield from (device for device in devices.values() if device.name in found)
            return


def _mounted_name(devices: dict[str, BlockDevice], mount: proc.Mount) -> str:
    """The kernel's name of what is mounted; by its source where the number is none (btrfs)."""
    for device in devices.values():
        names = {device.path, f"/dev/mapper/{device.mapped}" if device.mapped else device.path}
        if mount.number == device.device or mount.source in names:
            return device.name
        for part in device.partitions:
            if mount.number == part.device or mount.source == sysfs.dev_path(part.name):
                return part.name
    return ""


def _physical(devices: dict[str, BlockDevice], name: str) -> Iterator[str]:
    """The disks at the bottom: through partitions, and through the slaves of LVM, md and dm-crypt."""
    for device in devices.values():
        if name != device.name and all(name != part.name for part in device.partitions):
            continue
        if not device.slaves:
            yield device.name
        for slave in device.slaves:
            yield from _physical(devices, slave)


def _disk(host: Host, index: int, device: BlockDevice, mounts: Sequence[proc.Mount]) -> Disk:
    with host.reader(device.path) as read:
        found = table.parse(read, device.size, device.sector)
    return Disk(
        index=index,
        path=device.path,
        size=device.size,
        table=found.kind if found else "",
        sector=device.sector,
        partitions=tuple(_partitions(host, device, found, mounts)),
        serial=device.serial,
    )


def _partitions(
    host: Host, device: BlockDevice, found: table.Table | None, mounts: Sequence[proc.Mount]
) -> Iterator[Partition]:
    if found is None and not device.partitions:
        whole = KernelPartition(device.name, 0, device.device, 0, device.size)
        partition = _partition(host, device, 0, whole, mounts)
        if partition.filesystem or partition.mount:
            yield partition
        return
    for number, part in enumerate(_merged(device, found)):
        yield _partition(host, device, number, part, mounts)


def _merged(device: BlockDevice, found: table.Table | None) -> list[KernelPartition]:
    """What the kernel uses; the table's word where the kernel does not look into this disk (loop)."""
    entries = found.entries if found else ()
    extended = {entry.number for entry in entries if entry.extended}
    if device.partitions or found is None:
        return [part for part in device.partitions if part.number not in extended]
    joint = "p" if device.name[-1].isdigit() else ""
    return [
        KernelPartition(f"{device.name}{joint}{entry.number}", entry.number, "", entry.start, entry.size)
        for entry in found.partitions
    ]


def _partition(
    host: Host, device: BlockDevice, number: int, part: KernelPartition, mounts: Sequence[proc.Mount]
) -> Partition:
    path = sysfs.dev_path(part.name)
    content = _content(host, device, part) or superblock.FileSystem("")
    mount = _mount_of(part, path, mounts)
    free = host.free_bytes(mount.point) if mount else None
    return Partition(
        number=number,
        path=path,
        start=part.start,
        size=part.size,
        filesystem=mount.type if mount else content.type,
        uuid=content.uuid,
        label=content.label,
        mount=mount.point if mount else "",
        used=content.used if free is None else max(0, part.size - free),
    )


def _content(host: Host, device: BlockDevice, part: KernelPartition) -> superblock.FileSystem | None:
    """Read through the partition's own device where there is one: its page cache is the file system's."""
    path = sysfs.dev_path(part.name)
    if host.has_device(path):
        with host.reader(path) as read:
            return superblock.detect(read)
    with host.reader(device.path, anew=True) as read:
        return superblock.detect(
            lambda offset, length: read(part.start + offset, min(length, max(0, part.size - offset)))
        )


def _mount_of(part: KernelPartition, path: str, mounts: Sequence[proc.Mount]) -> proc.Mount | None:
    """Where it is mounted first, whole if possible (a bind mount shows a folder of it only)."""
    own = [mount for mount in mounts if mount.number == part.device or mount.source == path]
    return next((mount for mount in own if mount.root == "/"), own[0] if own else None)
