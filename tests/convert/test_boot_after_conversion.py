"""A real server's disks, before and after conversion, on virtio hardware: minutes under emulation."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from demo.source_machine import ADDRESS, INTERFACE, build
from rehost.convert.conversion import convert
from rehost.convert.report import ConversionReport
from rehost.core.server import BootMode, Disk, Interface, Inventory, Partition
from rehost.machine import accel, process, qemu, serial
from rehost.machine.programs import find
from tests.convert.small_guest import overlay_of

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

NEW_MAC = "02:00:00:00:00:07"
LOGIN = r"^\w+ login: "
NO_ROOT = r"ALERT! +\S+ does not exist|Gave up waiting for root"
DEADLINE = 300.0


@pytest.fixture(scope="module")
def disks(cache: Path) -> tuple[Path, Path]:
    source = build(cache)
    return source.system_disk, source.data_disk


@pytest.fixture(scope="module")
def converted(
    disks: tuple[Path, Path], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Path], ConversionReport]:
    folder = tmp_path_factory.mktemp("converted")
    overlays = [overlay_of(disk, folder / f"disk-{n}.qcow2") for n, disk in enumerate(disks)]
    before = [digest(disk) for disk in disks]
    report = convert(overlays, inventory(disks), NEW_MAC, cache, folder / "work")
    assert [digest(disk) for disk in disks] == before, "the replica is the source's image and stays it"
    return overlays, report


def digest(disk: Path) -> bytes:
    return blake3(max_threads=blake3.AUTO).update_mmap(disk).digest()


def inventory(disks: tuple[Path, ...]) -> Inventory:
    """What the agent would tell of the source machine."""
    described = tuple(described_disk(n, f"/dev/sd{'ab'[n]}", disk) for n, disk in enumerate(disks))
    card = Interface(INTERFACE, "52:54:00:12:34:56", (ADDRESS,))
    return Inventory(
        *("shop", "Debian", "x86_64", "6.1", BootMode.BIOS, 2, 1 << 30, described, (card,)),
        platform_version="12",
    )


def described_disk(index: int, path: str, disk: Path) -> Disk:
    command = [str(find("sfdisk")), "--json", str(disk)]
    table = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["partitiontable"]
    partitions = tuple(
        Partition(n, f"{path}{n + 1}", part["start"] * 512, part["size"] * 512)
        for n, part in enumerate(table["partitions"])
    )
    return Disk(index, path, disk.stat().st_size, table["label"], partitions=partitions)


def virtio_machine(disks: list[Path], format: str, log: Path) -> qemu.Machine:
    return qemu.Machine(
        "converted",
        cpus=2,
        disks=tuple(qemu.Disk(disk, format, throwaway=True) for disk in disks),
        nics=(qemu.Nic(NEW_MAC),),
        serial=log,
        guest_agent=True,
    )


@pytest.mark.lab  # compute/test_bootcheck.py boots an unconverted one in the default tests
def test_without_conversion_there_is_no_root_device(
    disks: tuple[Path, Path], cache: Path, tmp_path: Path
) -> None:
    log = tmp_path / "serial.log"
    machine = virtio_machine(list(disks), "raw", log)
    with process.start(machine, accel.choose(cache)) as running:
        end = serial.wait_for(log, f"{NO_ROOT}|{LOGIN}", DEADLINE, running.running)
    assert end is not None, serial.tail(log)
    assert "login" not in end[0], serial.tail(log)


@pytest.fixture(scope="module")
def booted(
    converted: tuple[list[Path], ConversionReport], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[process.RunningMachine]:
    log = tmp_path_factory.mktemp("booted") / "serial.log"
    with process.start(virtio_machine(converted[0], "qcow2", log), accel.choose(cache)) as running:
        end = serial.wait_for(log, f"{NO_ROOT}|{LOGIN}", DEADLINE, running.running)
        assert end is not None, serial.tail(log)
        assert "login" in end[0], serial.tail(log)
        yield running


def test_after_conversion_it_is_the_same_server(booted: process.RunningMachine) -> None:
    with booted.guest_agent() as agent:
        assert agent.wait(DEADLINE), "qemu-guest-agent was installed and answers"

        def output(command: str) -> str:
            done = agent.run(["/bin/sh", "-c", command], timeout=DEADLINE)
            return done.output.decode().strip()

        assert output("systemctl is-system-running --wait; systemctl --failed --no-legend") == "running"
        assert ADDRESS in output(f"ip -brief address show dev {INTERFACE}"), "the card has the old one's name"
        assert output("findmnt -n -o SOURCE /") == "/dev/vda1"
        assert output("findmnt -n -o SOURCE /srv/data") == "/dev/vdb1"
        assert output("swapon --noheadings --show=NAME") == "/dev/vda2"
        assert output("systemctl is-active serial-getty@ttyS0 recorder") == "active\nactive"
        assert output("dpkg --audit") == ""
        assert "virtio_blk" in output("cat /etc/initramfs-tools/modules")


def test_the_report_names_every_file(converted: tuple[list[Path], ConversionReport]) -> None:
    report = converted[1]
    paths = {change.path for change in report.changes}
    assert paths >= {
        *("/etc/fstab", "/boot/grub/grub.cfg", "/etc/default/grub", "/etc/initramfs-tools/conf.d/resume"),
        *("/etc/initramfs-tools/modules", f"/etc/systemd/network/10-rehost-{INTERFACE}.link"),
        "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service",
        *(f"/boot/initrd.img-{kernel}" for kernel in report.system.kernels),
    }
    assert any(package.startswith("qemu-guest-agent ") for package in report.packages)
    assert report.system.codename == "bookworm"
    assert report.notes == ()
    assert set(report.seconds) == {"inspecting", "editing", "drivers", "guest agent", "unmounting"}
