"""A virtual machine as a value, and the QEMU command line that it means. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

IDE_PLACES = 4  # two channels with a master and a slave each
SATA_PORTS = 6
DEBUG_EXIT_PORT = 0x501  # a guest that writes n there ends QEMU with the exit status 2n + 1


class Bus(StrEnum):
    IDE = "ide"
    SATA = "sata"
    VIRTIO = "virtio"


@dataclass(frozen=True, slots=True)
class Disk:
    path: Path
    format: str = "raw"  # raw or qcow2
    bus: Bus = Bus.VIRTIO
    read_only: bool = False  # IDE disks cannot be; use `throwaway`
    throwaway: bool = False  # what the guest writes goes to a temporary file and is lost at the end
    serial: str = ""
    cache: str = "writeback"  # unsafe: flushes of the guest are ignored, for what can be made again


@dataclass(frozen=True, slots=True)
class PortForward:
    """A TCP port on the host's loopback address that leads into the guest."""

    host_port: int
    guest_port: int


@dataclass(frozen=True, slots=True)
class GuestForward:
    """A TCP address inside the guest's network; a command is run for each connection."""

    address: str  # 10.0.2.100
    port: int
    command: str  # it speaks with the guest by its stdin and stdout


@dataclass(frozen=True, slots=True)
class Nic:
    """A card on QEMU's user-mode network 10.0.2.0/24 (host 10.0.2.2, DHCP gives 10.0.2.15)."""

    mac: str
    model: str = "virtio-net-pci"  # or e1000, rtl8139, ...
    slot: int | None = None  # on the PCI bus; slot 3 makes systemd name it enp0s3 or ens3
    restrict: bool = True  # no way out, not even to the host; forwards still work
    port_forwards: tuple[PortForward, ...] = ()
    guest_forwards: tuple[GuestForward, ...] = ()


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that QEMU loads itself, past firmware and boot loader."""

    image: Path
    initrd: Path | None = None
    cmdline: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A virtio-serial port whose output goes to a file: /dev/virtio-ports/<name> in the guest."""

    name: str
    file: Path


@dataclass(frozen=True, slots=True)
class Machine:
    """A PC with BIOS; it boots `kernel`, or else from its first disk."""

    name: str
    chipset: str = "pc"  # or q35
    memory: int = 1024  # MiB
    cpus: int = 1
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    kernel: Kernel | None = None
    serial: Path | None = None  # file that the serial console is written to, from its beginning
    guest_agent: bool = False  # a channel for qemu-guest-agent
    channels: tuple[Channel, ...] = ()
    screen: bool = False  # a VGA card, so that there is something to take a picture of
    random: bool = True  # virtio-rng; off for a machine that shall have no virtio device at all
    reboots: bool = True  # off: a reboot of the guest ends QEMU
    extra: tuple[str, ...] = field(default=())  # further QEMU arguments


@dataclass(frozen=True, slots=True)
class Sockets:
    """Unix sockets of one running machine; kept short, for their names end at 107 bytes."""

    folder: Path

    @property
    def qmp(self) -> Path:
        return self.folder / "qmp"

    @property
    def guest_agent(self) -> Path:
        return self.folder / "qga"

    @property
    def pidfile(self) -> Path:
        return self.folder / "pid"


def arguments(machine: Machine, accelerator: str, sockets: Sockets) -> list[str]:
    """The arguments of qemu-system-x86_64, without the program's own name."""
    return [
        *("-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", machine.chipset, "-accel", accelerator, "-cpu", _cpu(accelerator)),
        *("-m", str(machine.memory), "-smp", str(machine.cpus), "-rtc", "base=utc"),
        *("-pidfile", str(sockets.pidfile)),
        *("-qmp", f"unix:{_escape(sockets.qmp)},server=on,wait=off"),
        *([] if machine.reboots else ["-no-reboot"]),
        *(["-vga", "std"] if machine.screen else ["-vga", "none"]),
        *_nics(machine),  # before what takes any free slot
        *(["-device", "virtio-rng-pci"] if machine.random else []),
        *_serial(machine),
        *_kernel(machine),
        *_disks(machine),
        *_channels(machine, sockets),
        *machine.extra,
    ]


def _cpu(accelerator: str) -> str:
    return "host" if accelerator.startswith("kvm") else "max"


def _serial(machine: Machine) -> Iterator[str]:
    if machine.serial is not None:
        yield from ("-chardev", f"file,id=serial,path={_escape(machine.serial)}")
        yield from ("-serial", "chardev:serial")


def _kernel(machine: Machine) -> Iterator[str]:
    if machine.kernel is not None:
        yield from ("-kernel", str(machine.kernel.image), "-append", machine.kernel.cmdline)
        if machine.kernel.initrd is not None:
            yield from ("-initrd", str(machine.kernel.initrd))


def _disks(machine: Machine) -> Iterator[str]:
    if any(disk.bus is Bus.SATA for disk in machine.disks):
        yield from ("-device", "ich9-ahci,id=ahci")
    used = dict.fromkeys(Bus, 0)
    for index, disk in enumerate(machine.disks):
        yield from ("-drive", _drive(index, disk))
        device = _disk_device(disk, used[disk.bus])
        serial = f",serial={_escape(disk.serial)}" if disk.serial else ""
        yield from ("-device", f"{device},drive=disk{index},bootindex={index + 1}{serial}")
        used[disk.bus] += 1


def _drive(index: int, disk: Disk) -> str:
    options = [f"if=none,id=disk{index}", f"file={_escape(disk.path)}", f"format={disk.format}"]
    options += [f"cache={disk.cache}", "discard=unmap"]
    options += ["readonly=on"] if disk.read_only else []
    options += ["snapshot=on"] if disk.throwaway else []
    return ",".join(options)


def _disk_device(disk: Disk, place: int) -> str:
    match disk.bus:
        case Bus.IDE if place < IDE_PLACES:
            return f"ide-hd,bus=ide.{place // 2},unit={place % 2}"
        case Bus.SATA if place < SATA_PORTS:
            return f"ide-hd,bus=ahci.{place}"
        case Bus.VIRTIO:
            return "virtio-blk-pci"
    raise ValueError(f"no place for another disk on the {disk.bus} bus: {disk.path}")


def _nics(machine: Machine) -> Iterator[str]:
    for index, nic in enumerate(machine.nics):
        options = [f"user,id=net{index}", f"restrict={'on' if nic.restrict else 'off'}"]
        options += [f"hostfwd=tcp:127.0.0.1:{f.host_port}-:{f.guest_port}" for f in nic.port_forwards]
        options += [f"guestfwd=tcp:{f.address}:{f.port}-cmd:{_escape(f.command)}" for f in nic.guest_forwards]
        yield from ("-netdev", ",".join(options))
        # Without an option ROM: nothing here boots from the network, and SeaBIOS is done sooner.
        slot = "" if nic.slot is None else f",addr={nic.slot:#x}"
        yield from ("-device", f"{nic.model},netdev=net{index},mac={nic.mac},romfile={slot}")


def _channels(machine: Machine, sockets: Sockets) -> Iterator[str]:
    if machine.guest_agent or machine.channels:
        yield from ("-device", "virtio-serial-pci")
    if machine.guest_agent:
        yield from ("-chardev", f"socket,id=qga,path={_escape(sockets.guest_agent)},server=on,wait=off")
        yield from ("-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0")
    for index, channel in enumerate(machine.channels):
        yield from ("-chardev", f"file,id=channel{index},path={_escape(channel.file)}")
        yield from ("-device", f"virtserialport,chardev=channel{index},name={channel.name}")


def _escape(value: Path | str) -> str:
    """A value inside a list of QEMU options, where a comma is written twice."""
    return str(value).replace(",", ",,")
