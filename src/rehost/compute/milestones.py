"""Reading a guest's console: how far a boot came, and what stopped it. Pure: text in, values out."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The milestones of a boot, in their order."""

    FIRMWARE = "firmware"
    LOADER = "boot loader"
    KERNEL = "kernel"
    USERSPACE = "userspace"
    LOGIN = "login"


# What the console says when a stage has begun. A guest may skip the early ones: GRUB often draws on the
# screen only.
_MARKS: tuple[tuple[Stage, str], ...] = (
    (Stage.FIRMWARE, r"SeaBIOS|iPXE|BdsDxe|UEFI firmware|Booting from "),
    (
        Stage.LOADER,
        r"GRUB loading|GNU GRUB|Welcome to GRUB|Booting `|Loading Linux|SYSLINUX|ISOLINUX|systemd-boot",
    ),
    (Stage.KERNEL, r"Linux version \d|\[ {4}0\.0{6}\]|Decompressing Linux"),
    (
        Stage.USERSPACE,
        r"Loading, please wait|Begin: |Run /init |systemd\[1\]|dracut[-:]|INIT: v|Welcome to (?!GRUB).+\n",
    ),
    # Kernel messages may follow the prompt on its line; "Last login:" is no prompt.
    (Stage.LOGIN, r"(?m)^(?!Last )[\w.-]+ login:[ \t]*(?:$|\[)"),
)


@dataclass(frozen=True, slots=True)
class Death:
    """A mark after which a boot cannot reach its login prompt any more."""

    verdict: str
    advice: str


_ROOT_MISSING = Death(
    "initramfs: root device missing",
    "the initramfs lacks the target's disk driver, or the command line names the root by an old device name",
)
_SHELL = Death("initramfs: dropped to a shell", "see the end of the serial log for what the initramfs missed")
_NO_BOOTABLE = Death(
    "firmware: no bootable device", "the system disk has no boot loader where this firmware looks for one"
)
_NO_ENTRY = Death("uefi: no boot entry", "the EFI system partition needs a loader at /EFI/BOOT/BOOTX64.EFI")
_LOADER = Death(
    "boot loader: does not find its files", "its configuration names a disk or file system that is not there"
)
_FSCK = Death("file system: needs repair by hand", "run fsck on the source, then copy again")
_EMERGENCY = Death(
    "userspace: emergency mode",
    "most often a file system in /etc/fstab that is not there; its unit is named in the serial log",
)
_KERNEL_ROOT = Death(
    "kernel: root device missing", "the kernel was started without an initramfs that finds the root device"
)
_PANIC = Death("kernel panic", "the panic's own text is in the serial log")
_LOOP = Death("reboots again and again", "see the serial log for what comes before each restart")

# The first row that matches is the verdict: causes come before what follows from them.
_DEATHS: tuple[tuple[str, Death], ...] = (
    (r"ALERT! .* does not exist\. +Dropping to a shell", _ROOT_MISSING),
    (r"Gave up waiting for root", _ROOT_MISSING),
    (r"Warning: /dev/\S+ does not exist", _ROOT_MISSING),
    (r"VFS: Unable to mount root fs|VFS: Cannot open root device", _KERNEL_ROOT),
    (r"UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY", _FSCK),
    (r"Kernel panic - not syncing", _PANIC),
    (r"(?m)^\(initramfs\) ", _SHELL),
    (r"No bootable device", _NO_BOOTABLE),
    (r"No bootable option or device was found|UEFI Interactive Shell", _NO_ENTRY),
    (r"(?m)^grub(?: rescue)?> |error: no such device:|error: unknown filesystem", _LOADER),
    (r"You are in (?:emergency|rescue) mode|Entering emergency mode", _EMERGENCY),
    (r"(?s)(?:Linux version \d.*){5}", _LOOP),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a console's text tells so far."""

    stages: tuple[Stage, ...]  # seen, in their order
    death: Death | None  # None as well when the login prompt came in spite of a mark

    @property
    def last(self) -> Stage | None:
        return self.stages[-1] if self.stages else None

    @property
    def at_login(self) -> bool:
        return self.last is Stage.LOGIN


def read(text: str) -> Reading:
    """The reading of all that a console has printed since power on, without escape sequences."""
    stages = tuple(stage for stage, mark in _MARKS if re.search(mark, text))
    if Stage.LOGIN in stages:
        return Reading(stages, None)
    return Reading(stages, next((death for mark, death in _DEATHS if re.search(mark, text)), None))


def timeout_verdict(reading: Reading) -> str:
    """The verdict when time is up."""
    return f"timeout after {reading.last}" if reading.last else "timeout: nothing on the console"


def ended_verdict(reading: Reading) -> str:
    """The verdict when the machine ended by itself."""
    return (
        f"the machine ended after {reading.last}" if reading.last else "the machine ended before any output"
    )
