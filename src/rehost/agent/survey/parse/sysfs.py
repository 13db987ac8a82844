"""Block devices and network cards as /sys shows them.

`sys` is the folder to read, so that a recorded one reads the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KernelPartition:
    name: str  # sda1
    number: int
    device: str  # major:minor
    start: int  # bytes
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class BlockDevice:
    name: str  # sda, dm-0
    device: str  # major:minor
    size: int  # bytes
    sector: int  # logical sector size, bytes
    removable: bool
    hidden: bool  # a path of a multipath device, not one to use
    serial: str
    mapped: str  # device-mapper's name, empty otherwise
    slaves: tuple[str, ...]  # names of disks or partitions that this one is made of
    partitions: tuple[KernelPartition, ...]

    @property
    def path(self) -> str:
        return dev_path(self.name)


def dev_path(name: str) -> str:
    """cciss!c0d0 is /dev/cciss/c0d0."""
    return "/dev/" + name.replace("!", "/")


def block_devices(sys: Path) -> dict[str, BlockDevice]:
    """All of /sys/block by name, in the kernel's order (sdb before sdaa, nvme2n1 before nvme10n1)."""
    names = sorted((entry.name for entry in (sys / "block").iterdir()), key=_order)
    return {name: _block_device(sys / "block" / name) for name in names}


def _order(name: str) -> tuple[object, ...]:
    letters = re.match(r"(?:sd|vd|hd|xvd)?", name)
    if letters and letters[0]:
        return letters[0], len(name), name, ()
    return name.rstrip("0123456789"), 0, "", tuple(int(number) for number in re.findall(r"\d+", name))


def _block_device(folder: Path) -> BlockDevice:
    return BlockDevice(
        name=folder.name,
        device=_read(folder / "dev"),
        size=_number(folder / "size") * 512,
        sector=_number(folder / "queue/logical_block_size", 512),
        removable=_number(folder / "removable") == 1,
        hidden=_number(folder / "hidden") == 1,
        serial=_serial(folder),
        mapped=_read(folder / "dm/name"),
        slaves=tuple(_names(folder / "slaves")),
        partitions=_partitions(folder),
    )


def _partitions(folder: Path) -> tuple[KernelPartition, ...]:
    found = [
        KernelPartition(
            child.name,
            _number(child / "partition"),
            _read(child / "dev"),
            _number(child / "start") * 512,  # 512 whatever the sector size is
            _number(child / "size") * 512,
        )
        for child in folder.iterdir()
        if (child / "partition").is_file()
    ]
    return tuple(sorted(found, key=lambda partition: partition.start))


def _serial(folder: Path) -> str:
    for name in ("serial", "device/serial"):
        text = _read(folder / name)
        if text:
            return text
    return _read(folder / "device/vpd_pg80")[4:].strip("\0 ")  # SCSI: four bytes of header, then the number


@dataclass(frozen=True, slots=True)
class NetworkCard:
    name: str
    mac: str
    index: int
    physical: bool  # has a device behind it: not a bridge, bond, tunnel or loopback


def network_cards(sys: Path) -> list[NetworkCard]:
    folders = [sys / "class/net" / name for name in _names(sys / "class/net")]
    return sorted(
        (
            NetworkCard(f.name, _read(f / "address"), _number(f / "ifindex"), (f / "device").exists())
            for f in folders
            if (f / "ifindex").is_file()
        ),
        key=lambda card: card.index,
    )


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _read(path: Path) -> str:
    """An attribute's text; empty when there is none.

    Drivers may list one and refuse to read it (EIO, EINVAL), and devices go away while one looks: both are
    the same as not having it.
    """
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(path: Path, default: int = 0) -> int:
    text = _read(path)
    return int(text) if text.lstrip("-").isdigit() else default
