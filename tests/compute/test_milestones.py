"""Readings of consoles; the texts are what real machines printed."""

import pytest

from rehost.compute.milestones import Reading, Stage, ended_verdict, read, timeout_verdict
from rehost.machine.serial import plain

FIRMWARE = "SeaBIOS (version 1.16.2-debian-1.16.2-1)\nBooting from Hard Disk...\n"
GRUB = (
    "\x1b[H\x1b[J\x1b[1;1H\x1b[mWelcome to GRUB!\r\n\r\n"
    "Booting `Debian GNU/Linux'\r\n\r\nLoading Linux 6.1.0 ...\r\n"
)
KERNEL = (
    "[    0.000000] Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)\r\n"
    "[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0 root=UUID=12 ro console=ttyS0\r\n"
)
INITRAMFS = "Loading, please wait...\r\nBegin: Running /scripts/init-premount ... done.\r\n"
SYSTEMD = (
    "\r\nWelcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n\r\n[\x1b[0;32m  OK  \x1b[0m] x\r\n"
)
LOGIN = "\r\n\x1b[?2004hDebian GNU/Linux 12 web-1 ttyS0\r\n\r\nweb-1 login: "
UP_TO_INITRAMFS = FIRMWARE + GRUB + KERNEL + INITRAMFS


def reading(text: str) -> Reading:
    return read(plain(text.encode()))


def verdict(text: str) -> str | None:
    found = reading(text).death
    return found.verdict if found else None


def test_a_whole_boot_passes_every_stage() -> None:
    found = reading(UP_TO_INITRAMFS + SYSTEMD + LOGIN)
    assert found.stages == tuple(Stage)
    assert found.at_login
    assert found.death is None


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", None),
        (FIRMWARE, Stage.FIRMWARE),
        (FIRMWARE + GRUB, Stage.LOADER),
        (FIRMWARE + KERNEL, Stage.KERNEL),  # GRUB on the screen only
        (FIRMWARE + GRUB + KERNEL, Stage.KERNEL),
        (UP_TO_INITRAMFS, Stage.USERSPACE),
    ],
)
def test_the_stage_reached(text: str, last: Stage | None) -> None:
    assert reading(text).last is last


def test_every_prefix_of_a_boot_is_read_and_no_stage_is_lost_again() -> None:
    whole = (UP_TO_INITRAMFS + SYSTEMD + LOGIN).encode()
    before: tuple[Stage, ...] = ()
    for length in range(len(whole) + 1):
        found = read(plain(whole[:length]))
        assert found.death is None
        assert set(before) <= set(found.stages)
        before = found.stages


@pytest.mark.parametrize(
    "line",
    [
        "web-1 login: ",
        "web-1 login:",
        "web-1.example.org login: [   41.3] IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready",
    ],
)
def test_login_prompts(line: str) -> None:
    assert reading(f"\r\n{line}").at_login


@pytest.mark.parametrize(
    "line",
    [
        "Last login: Mon Nov 23 on tty1",
        "pam_unix(login:session): opened",
        "systemd-logind: New login: x",
        "login",
    ],
)
def test_what_is_no_login_prompt(line: str) -> None:
    assert not reading(f"\r\n{line}\r\n").at_login


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Gave up waiting for root file system device.  Common problems:\r\n"
            "ALERT!  UUID=5f2a does not exist.  Dropping to a shell!\r\n\r\nBusyBox v1.35.0\r\n(initramfs) ",
            "initramfs: root device missing",
        ),
        ("ALERT!  /dev/sda1 does not exist.  Dropping to a shell!\r\n", "initramfs: root device missing"),
        ("dracut-initqueue[271]: Warning: /dev/vg/root does not exist\r\n", "initramfs: root device missing"),
        ("mount: can't read '/etc/fstab'\r\n\r\n(initramfs) ", "initramfs: dropped to a shell"),
        (
            '[    2.1] VFS: Cannot open root device "sda1" or unknown-block(0,0): error -6\r\n'
            "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
            "kernel: root device missing",
        ),
        ("[   3.0] Kernel panic - not syncing: Attempted to kill init!\r\n", "kernel panic"),
        ("/dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\r\n", "file system: needs repair by hand"),
        ("You are in emergency mode. After logging in, type\r\n", "userspace: emergency mode"),
        (KERNEL * 5, "reboots again and again"),
    ],
)
def test_deaths_after_the_kernel_has_started(text: str, expected: str) -> None:
    assert verdict(UP_TO_INITRAMFS + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n",
            "firmware: no bootable device",
        ),
        ("BdsDxe: No bootable option or device was found.\r\n", "uefi: no boot entry"),
        ("UEFI Interactive Shell v2.2\r\n", "uefi: no boot entry"),
        (
            "GRUB loading.\r\nerror: no such device: 5f2a.\r\nEntering rescue mode...\r\ngrub rescue> ",
            "boot loader: does not find its files",
        ),
        ("GNU GRUB  version 2.06\r\n\r\ngrub> ", "boot loader: does not find its files"),
    ],
)
def test_deaths_before_the_kernel(text: str, expected: str) -> None:
    assert verdict(FIRMWARE + text) == expected


def test_a_login_prompt_outweighs_what_came_before() -> None:
    found = reading(UP_TO_INITRAMFS + "You are in rescue mode\r\n" + SYSTEMD + LOGIN)
    assert found.at_login
    assert found.death is None


def test_a_restart_or_two_is_no_loop() -> None:
    assert verdict(KERNEL * 3) is None


def test_verdicts_of_boots_without_a_mark() -> None:
    assert timeout_verdict(reading(FIRMWARE + KERNEL)) == "timeout after kernel"
    assert timeout_verdict(reading("")) == "timeout: nothing on the console"
    assert ended_verdict(reading(FIRMWARE)) == "the machine ended after firmware"
    assert ended_verdict(reading("")) == "the machine ended before any output"


def test_every_death_says_what_to_do() -> None:
    found = reading("No bootable device.")
    assert found.death is not None
    assert found.death.advice
