"""The steps of a conversion, on a guest whose file systems are mounted."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from . import cmdline, cpio, facts, fstab, grub, initramfs, modules, network, packages, resume
from .devices import DeviceNames, Volume
from .initramfs import Kernel
from .job import Job
from .system import GuestError
from .tree import Changes, Tree

_STALE = {
    "/etc/udev/rules.d/70-persistent-net.rules": "it gives interface names to the old network cards",
    "/etc/udev/rules.d/70-persistent-cd.rules": "it names the old machine's drives",
    "/etc/blkid.tab": "a cache of the old device names",
    "/etc/lvm/devices/system.devices": "it allows LVM only the old devices",
    "/etc/lvm/cache/.cache": "a cache of the old device names",
    "/boot/grub/device.map": "it names the old machine's disks",
}
_OLD_TOOLS = {  # package -> its services
    "open-vm-tools": ("open-vm-tools.service", "vgauth.service"),
    "virtualbox-guest-utils": ("virtualbox-guest-utils.service",),
    "hyperv-daemons": ("hv-kvp-daemon.service", "hv-vss-daemon.service", "hv-fcopy-daemon.service"),
    "xe-guest-utilities": ("xe-daemon.service", "xe-linux-distribution.service"),
}
_NETWORK_FOLDERS = (
    ("/etc/netplan", "*.yaml"),
    ("/etc/systemd/network", "*"),
    ("/etc/NetworkManager/system-connections", "*"),
)


@dataclass(slots=True)
class Guest:
    """A mounted guest and what the steps need to know of it."""

    job: Job
    tree: Tree
    changes: Changes
    names: DeviceNames
    root: Volume
    notes: list[str]


def file_systems(guest: Guest) -> None:
    names, changes = guest.names, guest.changes
    unknown = fstab.unknown_devices(guest.tree.read("/etc/fstab"), names)
    guest.notes += [f"/etc/fstab names {name}, which is on none of the copied disks" for name in unknown]
    changes.edit(
        "/etc/fstab",
        "device names that hold on any hardware; a missing data disk does not stop the boot",
        lambda text: fstab.edit(text, names),
    )
    changes.edit(
        "/etc/crypttab",
        "device names that hold on any hardware",
        lambda text: fstab.edit_crypttab(text, names),
    )
    for path in guest.tree.glob("/etc/initramfs-tools/conf.d", "*"):
        changes.edit(
            path,
            "the swap space to resume from, by UUID or not at all",
            lambda text: resume.edit(text, names),
        )


def boot_loader(guest: Guest) -> None:
    changes, names, root = guest.changes, guest.names, guest.root
    changes.edit(
        "/boot/grub/grub.cfg",
        "root by UUID; boot messages also on the serial console",
        lambda text: grub.edit_menu(text, names, root),
    )
    changes.edit(
        "/etc/default/grub",
        "the same for the next time the menu is made",
        lambda text: grub.edit_settings(text, names, root),
    )
    for path in (*guest.tree.glob("/etc/default/grub.d", "*.cfg"), "/etc/kernel/cmdline"):
        changes.edit(path, "root by UUID", lambda text: cmdline.map_devices(text, names, root))
    changes.edit(
        "/var/cache/debconf/config.dat",
        "updates of GRUB write it to the new system disk",
        lambda text: facts.with_debconf_value(text, "grub-pc/install_devices", "/dev/vda"),
    )


def console(guest: Guest) -> None:
    unit = "/lib/systemd/system/serial-getty@.service"
    if guest.tree.exists(unit):
        guest.changes.link(
            f"/etc/systemd/system/getty.target.wants/serial-getty@{cmdline.SERIAL}.service",
            "a login prompt on the serial console",
            unit,
        )


def network_names(guest: Guest, systemd: int) -> list[cpio.Entry]:
    """The old interface name for the new card; the file that the initramfs needs for it as well."""
    job = guest.job
    for path in (path for place in _NETWORK_FOLDERS for path in guest.tree.glob(*place)):
        guest.changes.edit(
            path,
            "the address of the new network card",
            lambda text: network.replace_address(text, job.old_mac, job.new_mac),
        )
    if not job.interface:
        return []
    path, text = network.link_path(job.interface), network.link_file(job.interface, job.new_mac, systemd)
    guest.changes.create(path, "the new network card keeps the old one's name", text)
    return [cpio.file(path.lstrip("/"), text.encode())]


def stale_files(guest: Guest) -> None:
    for path, reason in _STALE.items():
        guest.changes.remove(path, reason)


def old_tools(guest: Guest, installed: packages.Installed) -> None:
    """Tools of the old hypervisor are switched off; removing them would take half a minute."""
    for package, services in _OLD_TOOLS.items():
        if package in installed.versions:
            for service in services:
                path = f"/etc/systemd/system/{service}"
                guest.changes.link(path, f"{package} is of use on the old hypervisor only", "/dev/null")


def find_kernels(tree: Tree) -> list[Kernel]:
    """The kernels that have modules and an image in /boot; newest name last."""
    kernels = []
    for folder in tree.glob("/lib/modules", "*"):
        version, place = folder.rpartition("/")[2], tree.place(folder)
        if tree.exists(f"/boot/vmlinuz-{version}") and (place / "modules.dep").exists():
            texts = [tree.read(f"{folder}/modules.{name}") for name in ("dep", "builtin")]
            kernels.append(Kernel(version, place, modules.index(*texts)))
    return kernels


def drivers(guest: Guest, kernels: Sequence[Kernel], link_files: Sequence[cpio.Entry]) -> None:
    """Virtio in the initramfs of every kernel, and in those that the guest makes itself later."""
    able = [kernel for kernel in kernels if all(map(kernel.index.has, modules.NEEDED))]
    if not able:
        versions = ", ".join(kernel.version for kernel in kernels) or "none with modules"
        raise GuestError(
            f"no kernel of the guest has the modules {' and '.join(modules.NEEDED)} (kernels: {versions})",
            "install a kernel with virtio drivers on the source and start the job again",
        )
    guest.notes += [
        f"the kernel {kernel.version} has no virtio drivers and will not boot"
        for kernel in kernels
        if kernel not in able
    ]
    for kernel in able:
        _append_drivers(guest, kernel, link_files)
    _settings_for_rebuild(guest)


def _append_drivers(guest: Guest, kernel: Kernel, link_files: Sequence[cpio.Entry]) -> None:
    image = f"/boot/initrd.img-{kernel.version}"
    if not guest.tree.exists(image):
        if not all(name in kernel.index.builtin for name in modules.NEEDED):
            guest.notes.append(
                f"the kernel {kernel.version} has no initramfs and its virtio drivers are modules"
            )
        return
    archive = initramfs.addition(kernel, [*link_files, *_resume(guest)])
    try:
        guest.changes.append(
            image,
            "drivers for virtio disks and network cards",
            lambda present: initramfs.with_addition(present, archive),
        )
    except OSError as error:
        raise GuestError(
            f"{image} cannot take {len(archive)} bytes more: {os.strerror(error.errno or 0)}",
            "free some space in the source's /boot and start the job again",
        ) from error


def _resume(guest: Guest) -> list[cpio.Entry]:
    """initramfs-tools reads its settings from files in the image, the last name wins."""
    if not guest.tree.exists("/etc/initramfs-tools"):
        return []
    paths = ["/etc/initramfs-tools/initramfs.conf", *guest.tree.glob("/etc/initramfs-tools/conf.d", "*")]
    value = resume.setting("\n".join(map(guest.tree.read, paths)), guest.names)
    return [cpio.file("conf/conf.d/zzz-rehost-resume", f"RESUME={value}\n".encode())]


def _settings_for_rebuild(guest: Guest) -> None:
    reason = "virtio drivers in every initramfs that is made later"
    if guest.tree.exists("/etc/initramfs-tools"):
        path = "/etc/initramfs-tools/modules"
        text = modules.with_modules(guest.tree.read(path), modules.VIRTIO)
        guest.changes.create(path, reason, text)
    if guest.tree.exists("/etc/dracut.conf.d") or guest.tree.exists("/usr/bin/dracut"):
        names = " ".join(modules.VIRTIO)
        guest.changes.create("/etc/dracut.conf.d/rehost-virtio.conf", reason, f'add_drivers+=" {names} "\n')
