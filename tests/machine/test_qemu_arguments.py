from pathlib import Path

import pytest

from rehost.machine.qemu import (
    Bus,
    Channel,
    Disk,
    GuestForward,
    Kernel,
    Machine,
    Nic,
    PortForward,
    Sockets,
    arguments,
)

SOCKETS = Sockets(Path("/tmp/x"))


def command_line(machine: Machine, accelerator: str = "tcg,thread=multi") -> str:
    return " ".join(arguments(machine, accelerator, SOCKETS))


def test_the_cpu_follows_the_accelerator() -> None:
    assert "-accel tcg,thread=multi -cpu max" in command_line(Machine("m"))
    assert "-accel kvm -cpu host" in command_line(Machine("m"), "kvm")


def test_disks_take_the_places_of_their_bus_in_order() -> None:
    disks = tuple(
        Disk(Path(f"/d{i}"), bus=bus) for i, bus in enumerate(["ide", "ide", "ide", "sata", "virtio"])
    )
    line = command_line(Machine("m", disks=tuple(Disk(d.path, bus=Bus(d.bus)) for d in disks)))
    assert "ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=1" in line
    assert "ide-hd,bus=ide.0,unit=1,drive=disk1" in line
    assert "ide-hd,bus=ide.1,unit=0,drive=disk2" in line
    assert "ich9-ahci,id=ahci" in line
    assert "ide-hd,bus=ahci.0,drive=disk3" in line
    assert "virtio-blk-pci,drive=disk4" in line


@pytest.mark.parametrize(("bus", "count"), [(Bus.IDE, 5), (Bus.SATA, 7)])
def test_a_full_bus_is_refused(bus: Bus, count: int) -> None:
    with pytest.raises(ValueError, match="no place"):
        command_line(Machine("m", disks=(Disk(Path("/d"), bus=bus),) * count))


def test_commas_in_paths_do_not_end_an_option() -> None:
    line = command_line(Machine("m", disks=(Disk(Path("/a,b=c"), "qcow2", read_only=True, serial="s"),)))
    assert "file=/a,,b=c,format=qcow2,cache=writeback,discard=unmap,readonly=on" in line
    assert ",serial=s" in line


def test_networks_are_closed_unless_opened() -> None:
    nic = Nic("52:54:00:00:00:01", "e1000", slot=3, port_forwards=(PortForward(2222, 22),))
    line = command_line(Machine("m", chipset="q35", nics=(nic,)))
    assert "-machine q35" in line
    assert line.index("addr=0x3") < line.index("virtio-rng-pci")
    assert "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22" in line
    assert "e1000,netdev=net0,mac=52:54:00:00:00:01" in line
    reach = Nic("52:54:00:00:00:01", guest_forwards=(GuestForward("10.0.2.100", 443, "nc a,b 1"),))
    assert "guestfwd=tcp:10.0.2.100:443-cmd:nc a,,b 1" in command_line(Machine("m", nics=(reach,)))


def test_a_machine_without_virtio_has_none() -> None:
    assert "virtio" not in command_line(Machine("m", disks=(Disk(Path("/d"), bus=Bus.IDE),), random=False))


def test_kernel_channels_and_agent() -> None:
    machine = Machine(
        "m",
        kernel=Kernel(Path("/k"), Path("/i"), "quiet"),
        serial=Path("/s.log"),
        channels=(Channel("org.rehost.result", Path("/r")),),
        guest_agent=True,
        reboots=False,
    )
    line = command_line(machine)
    assert "-kernel /k -append quiet -initrd /i" in line
    assert "-chardev file,id=serial,path=/s.log -serial chardev:serial" in line
    assert "virtserialport,chardev=channel0,name=org.rehost.result" in line
    assert "path=/tmp/x/qga,server=on" in line
    assert "-no-reboot" in line
    assert line.count("virtio-serial-pci") == 1
