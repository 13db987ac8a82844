"""Converting the overlays of a replica, from the host's side: the job for the helper VM and its report."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from rehost.convert import helper_build, helper_vm, packages
from rehost.convert.guest.inspection import SUPPORTED
from rehost.convert.guest.job import Job, JobDisk, JobPackages, JobPartition
from rehost.convert.helper_build import Progress
from rehost.convert.report import ConversionReport
from rehost.core.errors import ConversionError, MissingProgramError
from rehost.core.server import BootMode, Disk, Interface, Inventory
from rehost.machine import accel


def convert(
    overlays: Sequence[Path],
    inventory: Inventory,
    mac: str,
    cache: Path,
    work: Path,
    progress: Progress = lambda _: None,
) -> ConversionReport:
    """Make the system on the overlays boot on virtio hardware.

    `overlays` are fresh qcow2 files over the replica's disks, in the order of the inventory's disks; only
    they are written. `mac` is the new network card's address. `cache` keeps helper VM and packages, `work`
    the log. `progress` is told what is being done. To repeat a conversion, start from fresh overlays.

    ConversionError: the guest is of a kind that cannot be converted yet, or a step failed; it says which.
    """
    _check(overlays, inventory)
    start, notes = time.monotonic(), _notes(inventory)
    vm = helper_build.get(cache, progress)
    at_hand = _packages(inventory, cache, notes, progress)
    job = _job(overlays, inventory, mac, at_hand)
    answer = helper_vm.run(
        vm,
        {disk.device_serial: overlay for disk, overlay in zip(job.disks, overlays, strict=True)},
        asdict(job),
        at_hand.files if at_hand else (),
        work,
        accelerator=accel.choose(cache),
        progress=progress,
    )
    for overlay in overlays:
        _make_durable(overlay)
    return _report(answer, notes, work, time.monotonic() - start)


def main_interface(inventory: Inventory) -> Interface | None:
    """The card whose name the new one takes: the first with an address."""
    cards = [interface for interface in inventory.interfaces if interface.name != "lo"]
    return next((card for card in cards if card.addresses), cards[0] if cards else None)


def _check(overlays: Sequence[Path], inventory: Inventory) -> None:
    if inventory.boot_mode is not BootMode.BIOS:
        raise ConversionError(
            f"the source {inventory.hostname} boots by {inventory.boot_mode.value.upper()}",
            f"what can be converted now: {SUPPORTED}",
        )
    if not 0 < len(overlays) <= len(inventory.disks):
        raise ConversionError(
            f"{len(overlays)} disks were copied of {inventory.hostname}, which has {len(inventory.disks)}",
            "give the overlays of its disks from the first one on",
        )


def _notes(inventory: Inventory) -> list[str]:
    card = main_interface(inventory)
    others = [i.name for i in inventory.interfaces if i != card and i.addresses and i.name != "lo"]
    if card is None or not others:
        return []
    return [f"the new machine has one network card, {card.name}; {', '.join(others)} will be missing"]


def _make_durable(overlay: Path) -> None:
    """The helper VM's flushes were ignored; who hears that the conversion is done relies on it."""
    handle = os.open(overlay, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _job(
    overlays: Sequence[Path], inventory: Inventory, mac: str, at_hand: packages.PackageSet | None
) -> Job:
    card = main_interface(inventory)
    return Job(
        disks=tuple(_job_disk(disk) for disk, _ in zip(inventory.disks, overlays, strict=False)),
        interface=card.name if card else "",
        old_mac=card.mac if card else "",
        new_mac=mac,
        packages=_job_packages(at_hand),
    )


def _job_disk(disk: Disk) -> JobDisk:
    partitions = tuple(JobPartition(p.path, p.start, p.mount) for p in disk.partitions)
    return JobDisk(disk.path, disk.serial, f"rehost-disk-{disk.index}", partitions)


def _job_packages(at_hand: packages.PackageSet | None) -> JobPackages | None:
    if at_hand is None:
        return None
    described = tuple(replace(package, file=f"files/{package.file}") for package in at_hand.packages)
    return JobPackages(at_hand.codename, described)


def _packages(
    inventory: Inventory, cache: Path, notes: list[str], progress: Progress
) -> packages.PackageSet | None:
    """Packages for the guest if they can be had: a guest without its agent is still a guest that boots."""
    codename = packages.codename_of(inventory.platform, inventory.platform_version)
    if codename is None:
        return None
    try:
        return packages.guest_agent(codename, cache, progress)
    except (ConversionError, MissingProgramError) as error:
        notes.append(str(error))
        return None


def _report(answer: dict[str, Any], notes: list[str], work: Path, seconds: float) -> ConversionReport:
    report = msgspec.convert(answer, ConversionReport)
    return replace(
        report,
        notes=(*notes, *report.notes),
        total_seconds=round(seconds, 1),
        log=str(work / helper_vm.LOG_NAME),
    )
