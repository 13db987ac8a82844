"""From the names that a source's devices had to names that hold on other hardware. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system, swap space or container that is on the copied disks."""

    source: str  # its name on the source: /dev/sda1
    device: str  # its name here: /dev/vdb1
    type: str = ""  # as blkid names it
    uuid: str = ""
    label: str = ""
    partuuid: str = ""
    source_mount: str = ""  # where the source had it mounted


@dataclass(frozen=True, slots=True)
class SourceDisk:
    path: str  # /dev/sda
    serial: str = ""


class DeviceNames:
    """Answers for names as they stand in configuration files of the source."""

    def __init__(self, volumes: Iterable[Volume], disks: Iterable[SourceDisk] = ()) -> None:
        self.volumes = tuple(volumes)
        self._disks = tuple(disks)

    def find(self, spec: str) -> Volume | None:
        """The volume that a device name or an UUID=, LABEL= or PARTUUID= means."""
        key, equals, value = spec.partition("=")
        if equals:
            value = value.strip("\"'")
            return self._first(key.lower(), value)
        for folder, attribute in (("uuid", "uuid"), ("label", "label"), ("partuuid", "partuuid")):
            prefix = f"/dev/disk/by-{folder}/"
            if spec.startswith(prefix):
                return self._first(attribute, spec.removeprefix(prefix))
        return self._by_source_name(spec)

    def stable(self, spec: str) -> str | None:
        """UUID=... for a name that is bound to the old hardware; None if it is not one or not known."""
        if not is_bound_to_hardware(spec):
            return None
        volume = self.find(spec)
        return f"UUID={volume.uuid}" if volume is not None and volume.uuid else None

    def _first(self, attribute: str, value: str) -> Volume | None:
        if attribute not in ("uuid", "label", "partuuid") or not value:
            return None
        matches = (v for v in self.volumes if getattr(v, attribute).lower() == value.lower())
        return next(matches, None)

    def _by_source_name(self, name: str) -> Volume | None:
        names = {name, self._from_id(name)} - {None}
        return next((v for v in self.volumes if v.source in names), None)

    def _from_id(self, name: str) -> str | None:
        """/dev/disk/by-id/ata-QEMU_HARDDISK_<serial>-part1 -> /dev/sda1"""
        match = re.fullmatch(r"/dev/disk/by-id/(.+?)(?:-part(\d+))?", name)
        if match is None:
            return None
        for disk in self._disks:
            if disk.serial and match[1].endswith(disk.serial):
                return partition_name(disk.path, match[2]) if match[2] else disk.path
        return None


_BOUND = re.compile(
    r"/dev/(?:(?:sd|hd|vd|xvd)[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|disk/by-(?:id|path)/.+)"
)


def is_bound_to_hardware(spec: str) -> bool:
    """Whether a device name changes when the disks are attached another way."""
    return _BOUND.fullmatch(spec) is not None


def partition_name(disk: str, number: str) -> str:
    """/dev/sda, 1 -> /dev/sda1; /dev/nvme0n1, 1 -> /dev/nvme0n1p1"""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"
