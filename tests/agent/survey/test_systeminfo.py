"""The API's SystemInfo: its keys, string values, and the limit of 1 KB."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.survey import systeminfo
from rehost.agent.survey.host import Host
from rehost.agent.survey.systeminfo import Usage, UsageMeter
from rehost.core.server import BootMode, Interface, Inventory

GIB = 1 << 30
SERVER = Inventory(
    hostname="oak",
    platform="Debian",
    architecture="x86_64",
    kernel="6.1.0",
    boot_mode=BootMode.BIOS,
    cores=2,
    memory=8 * GIB,
    disks=(),
    interfaces=(
        Interface("eth0", "52:54:00:00:00:01", ("2001:db8::1/64",)),
        Interface("eth1", "52:54:00:00:00:02", ("192.0.2.7/24",)),
    ),
)
USAGE = Usage(cpu=12.345, memory=3 * GIB, cpu_model="Example CPU")


def test_has_the_keys_and_values_of_the_api() -> None:
    assert json.loads(systeminfo.render(SERVER, USAGE)) == {
        "agent_mode": "daemon",
        "agent_type": "rehost",
        "client_type": "",
        "cores": "2",
        "cpu_info": "Example CPU",
        "cpu_usage": "12.35",
        "hostname": "oak",
        "ipv4": "192.0.2.7",
        "ipv6": "2001:db8::1",
        "memory": "8.00",
        "memory_usage": "3.00",
    }


def test_a_server_without_addresses_has_empty_ones() -> None:
    values = json.loads(systeminfo.render(replace(SERVER, interfaces=()), USAGE))
    assert (values["ipv4"], values["ipv6"]) == ("", "")


@given(st.text(max_size=1500), st.text(max_size=1500))
def test_stays_within_the_limit_and_keeps_what_matters(model: str, hostname: str) -> None:
    text = systeminfo.render(replace(SERVER, hostname=hostname), replace(USAGE, cpu_model=model))
    assert len(text.encode()) <= systeminfo.LIMIT
    values = json.loads(text)
    assert values["memory"] == "8.00"
    assert hostname.startswith(values["hostname"])
    assert values["hostname"] == hostname or values["cpu_info"] == ""  # the processor's name goes first


def _host(root: Path, stat: str, memory: str) -> Host:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text(stat)
    (root / "proc/meminfo").write_text(memory)
    return Host(root)


def test_processor_use_is_that_since_the_last_reading(tmp_path: Path) -> None:
    memory = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n"
    meter = UsageMeter(_host(tmp_path, "cpu 100 0 100 700 100 0 0 0 0 0\n", memory))
    assert meter.read().cpu == pytest.approx(20.0)
    _host(tmp_path, "cpu 150 0 100 750 100 0 0 0 0 0\n", memory)
    usage = meter.read()
    assert usage.cpu == pytest.approx(50.0)
    assert usage.memory == 600 << 10


def test_kernels_before_3_14_do_not_tell_the_available_memory(tmp_path: Path) -> None:
    host = _host(tmp_path, "cpu 1 0 0 0 0 0 0 0\n", "MemTotal: 1000 kB\nMemFree: 100 kB\n")
    assert UsageMeter(host).read().memory == 900 << 10
