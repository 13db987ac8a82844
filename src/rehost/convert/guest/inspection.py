"""Finding the system on the copied disks, and refusing what cannot be converted yet."""

from collections.abc import Sequence
from pathlib import Path

from . import facts, fstab, system
from .devices import DeviceNames, SourceDisk, Volume
from .job import GuestSystem, Job, JobDisk
from .system import GuestError
from .tree import Tree

SUPPORTED = (
    "Debian and its family with BIOS, a DOS partition table (MBR), GRUB 2 and a root on a plain partition"
)
_FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs")
_ADVICE = f"what can be converted now: {SUPPORTED}"


def find_volumes(job: Job) -> list[Volume]:
    return [volume for disk in job.disks for volume in _volumes_of(disk)]


def check_boot_disk(disk: JobDisk) -> None:
    """The first disk has to boot by BIOS: a DOS partition table, GRUB in the master boot record."""
    device = f"/dev/{system.disk_of_serial(disk.device_serial)}"
    with Path(device).open("rb") as file:
        check_boot_record(disk.path, system.probe(device).get("PTTYPE", "none"), file.read(440))


def check_boot_record(disk: str, table: str, code: bytes) -> None:
    if table != "dos":
        raise GuestError(f"the partition table of {disk} is of the type {table}", _ADVICE)
    if b"GRUB" not in code:
        raise GuestError(f"the boot loader in the boot record of {disk} is not GRUB", _ADVICE)


def find_root(volumes: Sequence[Volume], point: Path) -> tuple[Volume, str | None]:
    """Mount the root file system; the volume and what e2fsck repaired.

    The source's own word is tried first, then every file system there is.
    """
    candidates = [volume for volume in volumes if volume.type in _FILE_SYSTEMS]
    for volume in sorted(candidates, key=lambda volume: volume.source_mount != "/"):
        repaired = system.repair(volume.device, volume.type)
        system.mount(volume.device, point, volume.type)
        if Tree(point).exists("/etc/fstab") and Tree(point).exists("/etc/os-release"):
            return volume, repaired
        system.unmount(point)
    found = ", ".join(f"{v.source}: {v.type or 'unknown'}" for v in volumes) or "no partitions"
    raise GuestError(f"no root file system found ({found})", _ADVICE)


def mount_system(tree: Tree, names: DeviceNames) -> list[str]:
    """Mount what the system needs beside its root (/boot, /usr, /var, ...); what was repaired on the way."""
    notes = []
    wanted = [m for m in fstab.mounts(tree.read("/etc/fstab")) if fstab.is_system(m.point) and m.point != "/"]
    for mount in sorted(wanted, key=lambda mount: mount.point.count("/")):
        volume = names.find(mount.spec)
        if volume is None or {"bind", "noauto"} & set(mount.options):
            continue
        repaired = system.repair(volume.device, volume.type)
        system.mount(volume.device, tree.place(mount.point), volume.type)
        notes += [f"{volume.source}: {repaired}"] if repaired else []
    return notes


def describe(tree: Tree, root: Volume, kernels: Sequence[str]) -> GuestSystem:
    """The guest system; GuestError if it is not of the Debian family."""
    release = facts.os_release(tree.read("/etc/os-release"))
    name = release.get("PRETTY_NAME", "an unnamed system")
    if not facts.is_debian_family(release):
        raise GuestError(f"the system on {root.source} is {name}", _ADVICE)
    if not tree.exists("/boot/grub/grub.cfg"):
        raise GuestError(f"{name} on {root.source} has no /boot/grub/grub.cfg", _ADVICE)
    codename = release.get("VERSION_CODENAME", "")
    return GuestSystem(name, codename, root.source, root.uuid, root.type, tuple(kernels))


def source_disks(job: Job) -> list[SourceDisk]:
    return [SourceDisk(disk.path, disk.serial) for disk in job.disks]


def _volumes_of(disk: JobDisk) -> list[Volume]:
    """Partitions are recognised by where they begin: numbers may have gaps and names differ."""
    name = system.disk_of_serial(disk.device_serial)
    by_start = {partition.start: partition for partition in disk.partitions}
    starts = system.partitions(name) or {name: 0}
    volumes = []
    for device, start in starts.items():
        known, found = by_start.get(start), system.probe(f"/dev/{device}")
        volumes.append(
            Volume(
                source=known.path if known else f"{disk.path} at {start}",
                device=f"/dev/{device}",
                type=found.get("TYPE", ""),
                uuid=found.get("UUID", ""),
                label=found.get("LABEL", ""),
                partuuid=found.get("PART_ENTRY_UUID", ""),
                source_mount=known.mount if known else "",
            )
        )
    return volumes
