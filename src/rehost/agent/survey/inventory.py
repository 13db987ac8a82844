"""What the agent tells of its server: system, disks, partitions, network cards."""

from collections.abc import Sequence

from rehost.agent.survey import disks
from rehost.agent.survey.host import Host
from rehost.agent.survey.parse import netlink, proc, sysfs
from rehost.core.server import BootMode, Interface, Inventory, KernelLevel


def collect(wanted: Sequence[str] = (), host: Host | None = None) -> Inventory:
    """The inventory of this server (or of a recorded one).

    `wanted` names the disks to take instead of those found (see `disks.collect`).
    """
    host = host or Host()
    name, version = proc.platform(proc.os_release(_os_release(host)))
    untracked = host.why_untracked()
    uefi = host.path("/sys/firmware/efi").is_dir()
    return Inventory(
        hostname=host.uname.nodename,
        platform=name,
        architecture=host.uname.machine,
        kernel=host.uname.release,
        boot_mode=BootMode.UEFI if uefi else BootMode.BIOS,
        cores=proc.cores(host.text("/proc/cpuinfo")),
        memory=proc.meminfo(host.text("/proc/meminfo"))["MemTotal"],
        disks=disks.collect(host, wanted),
        interfaces=interfaces(host),
        # Every kernel that the agent starts on has FIFREEZE and O_DIRECT, so blocks can be copied.
        kernel_level=KernelLevel.BLOCKS if untracked else KernelLevel.TRACKING,
        untracked=untracked,
        platform_version=version,
        machine_id=host.text("/etc/machine-id").strip(),
    )


def _os_release(host: Host) -> str:
    """/etc/os-release is often a link; a recording has the file that it points to, too."""
    return host.text("/etc/os-release") or host.text("/usr/lib/os-release")


def interfaces(host: Host) -> tuple[Interface, ...]:
    """The physical network cards with their addresses, in the kernel's order."""
    found = netlink.addresses(host.dump_addresses())
    return tuple(
        Interface(card.name, card.mac, tuple(text for index, text in found if index == card.index))
        for card in sysfs.network_cards(host.path("/sys"))
        if card.physical
    )
