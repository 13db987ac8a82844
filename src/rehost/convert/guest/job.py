"""The job that the host gives, and the answer it gets; JSON on the way."""

from dataclasses import dataclass, field
from typing import Any

from .packages import Package
from .tree import Change


@dataclass(frozen=True, slots=True)
class JobPartition:
    path: str  # its name on the source
    start: int  # bytes
    mount: str = ""  # where the source had it mounted


@dataclass(frozen=True, slots=True)
class JobDisk:
    path: str  # its name on the source
    serial: str  # its serial number on the source
    device_serial: str  # the serial number of the virtio disk that holds the copy
    partitions: tuple[JobPartition, ...] = ()


@dataclass(frozen=True, slots=True)
class JobPackages:
    """Packages at hand for one release; files are relative to the job's folder."""

    codename: str
    packages: tuple[Package, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    disks: tuple[JobDisk, ...]
    interface: str  # the old name of the card; empty: pin nothing
    old_mac: str
    new_mac: str
    packages: JobPackages | None = None


@dataclass(frozen=True, slots=True)
class GuestSystem:
    """What was found on the disks."""

    name: str  # Debian GNU/Linux 12 (bookworm)
    codename: str
    root: str  # the source's name of the root device
    root_uuid: str
    root_type: str
    kernels: tuple[str, ...] = ()


@dataclass(slots=True)
class Answer:
    system: GuestSystem
    changes: list[Change] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)  # installed: name and version
    notes: list[str] = field(default_factory=list)  # what a person should know
    seconds: dict[str, float] = field(default_factory=dict)  # per step


def from_json(value: dict[str, Any]) -> Job:
    disks = tuple(
        JobDisk(**{**disk, "partitions": tuple(JobPartition(**p) for p in disk["partitions"])})
        for disk in value["disks"]
    )
    packages = value["packages"] and JobPackages(
        value["packages"]["codename"], tuple(Package(**p) for p in value["packages"]["packages"])
    )
    return Job(**{**value, "disks": disks, "packages": packages})
