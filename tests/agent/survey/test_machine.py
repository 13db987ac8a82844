from pathlib import Path

from rehost.agent.survey import machine
from rehost.agent.survey.host import Host
from rehost.core.clones import Boot, Hardware


def recorded(root: Path, product: str) -> Host:
    files = {
        "proc/sys/kernel/random/boot_id": "b-1\n",
        "sys/class/dmi/id/product_uuid": f"{product}\n",
        "sys/class/net/eth0/address": "52:54:00:AA:00:01\n",
        "sys/class/net/eth0/ifindex": "2\n",
        "sys/class/net/eth0/device/uevent": "",
        "sys/class/net/br0/address": "52:54:00:aa:00:02\n",
        "sys/class/net/br0/ifindex": "3\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Host(root)


def test_the_firmware_and_the_physical_cards(tmp_path: Path) -> None:
    host = recorded(tmp_path, "4C4C4544-0001")
    assert machine.boot(host) == Boot("b-1", Hardware("4c4c4544-0001", ("52:54:00:aa:00:01",)))


def test_a_number_that_many_machines_have_is_none(tmp_path: Path) -> None:
    assert machine.hardware(recorded(tmp_path, "03000200-0400-0500-0006-000700080009")).product == ""


def test_a_machine_without_any_of_it(tmp_path: Path) -> None:
    assert machine.hardware(Host(tmp_path)) == Hardware()
