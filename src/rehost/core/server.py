"""Source servers: their state, their disks and partitions, and what an inventory holds."""

from dataclasses import dataclass
from enum import StrEnum

GIB = 1 << 30


class ServerState(StrEnum):
    AVAILABLE = "Available"
    IN_USE = "InUse"
    UNAVAILABLE = "Unavailable"
    DELETING = "Deleting"


class BootMode(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class KernelLevel:
    """What the source's kernel lets the agent do; the API's KernelLevel."""

    FILES = 0
    BLOCKS = 1
    TRACKING = 2


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, or a whole disk that holds a file system without a partition table."""

    number: int  # order on the disk from 0, not the kernel's partition number
    path: str  # /dev/sda1
    start: int  # bytes from the disk's beginning
    size: int  # bytes
    filesystem: str = ""  # ext4, xfs, swap, ...; empty: unknown
    uuid: str = ""
    label: str = ""
    mount: str = ""  # where it is mounted first; empty: nowhere
    used: int | None = None  # bytes in use, where the file system tells

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Disk:
    index: int  # 0 is the system disk
    path: str  # /dev/sda
    size: int  # bytes
    table: str = ""  # dos, gpt or empty
    sector: int = 512  # logical sector size, bytes
    partitions: tuple[Partition, ...] = ()
    serial: str = ""

    @property
    def used(self) -> int:
        """Bytes that a copy needs at least: used bytes where known, whole partitions where not."""
        return sum(p.size if p.used is None else p.used for p in self.partitions)


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    mac: str
    addresses: tuple[str, ...] = ()  # CIDR notation


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the agent knows of its server."""

    hostname: str
    platform: str  # the distribution's name: Debian, Ubuntu, CentOS, ...
    architecture: str  # uname -m
    kernel: str  # uname -r
    boot_mode: BootMode
    cores: int
    memory: int  # bytes
    disks: tuple[Disk, ...]
    interfaces: tuple[Interface, ...] = ()
    kernel_level: int = KernelLevel.BLOCKS
    untracked: str = ""  # why the kernel level is not TRACKING
    platform_version: str = ""
    machine_id: str = ""

    @property
    def system_disk(self) -> Disk:
        return self.disks[0]

    @property
    def data_disks(self) -> tuple[Disk, ...]:
        return self.disks[1:]


def device_name(disk: Disk, partition: Partition) -> str:
    """A partition's name in the API: `0_0` is the system disk's first, `1_0` the first data disk's first."""
    return f"{disk.index}_{partition.number}"


def gib(size: int) -> int:
    """Bytes as GiB, rounded up, as the API counts disks."""
    return -(-size // GIB)
