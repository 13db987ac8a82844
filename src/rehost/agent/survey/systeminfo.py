"""The API's SystemInfo: fixed keys, string values, JSON of at most 1 KB."""

from dataclasses import dataclass

import msgspec

from rehost.agent.survey.host import Host
from rehost.agent.survey.parse import proc
from rehost.core.server import Inventory

LIMIT = 1024  # bytes, the API's
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Usage:
    cpu: float  # percent over the last interval
    memory: int  # bytes in use
    cpu_model: str


class UsageMeter:
    """Keeps the last reading, since the kernel counts processor time from boot on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._last = proc.CpuTimes(0, 0)

    def read(self) -> Usage:
        now = proc.cpu_times(self._host.text("/proc/stat"))
        busy, total = now.busy - self._last.busy, now.total - self._last.total
        self._last = now
        memory = proc.meminfo(self._host.text("/proc/meminfo"))
        free = memory.get("MemAvailable", memory["MemFree"])  # MemAvailable came with Linux 3.14
        return Usage(
            cpu=100 * busy / total if total > 0 else 0.0,
            memory=memory["MemTotal"] - free,
            cpu_model=proc.cpu_model(self._host.text("/proc/cpuinfo")),
        )


def render(inventory: Inventory, usage: Usage) -> str:
    """The JSON text. When it would be too long, the texts that a server can do without are cut first."""
    values = {
        "agent_mode": "daemon",
        "agent_type": "rehost",
        "client_type": "",
        "cores": str(inventory.cores),
        "cpu_info": usage.cpu_model,
        "cpu_usage": f"{usage.cpu:.2f}",
        "hostname": inventory.hostname,
        "ipv4": _address(inventory, 4),
        "ipv6": _address(inventory, 6),
        "memory": f"{inventory.memory / _GIB:.2f}",
        "memory_usage": f"{usage.memory / _GIB:.2f}",
    }
    for key in ("cpu_info", "hostname"):
        values[key] = _cut(values, key)
    return msgspec.json.encode(values).decode()


def _cut(values: dict[str, str], key: str) -> str:
    """The longest beginning of a value with which all fits."""
    text = values[key]
    while text and len(msgspec.json.encode({**values, key: text})) > LIMIT:
        text = text[:-1]
    return text


def _address(inventory: Inventory, version: int) -> str:
    addresses = [address for card in inventory.interfaces for address in card.addresses]
    return next((a.partition("/")[0] for a in addresses if (":" in a) is (version == 6)), "")
