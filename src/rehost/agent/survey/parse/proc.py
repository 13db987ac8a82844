"""The text files of /proc and /etc that the inventory needs."""

import re
import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    number: str  # major:minor; 0:N for file systems without a device of their own (btrfs too)
    root: str  # which directory of the file system is mounted
    point: str
    type: str
    source: str


def mounts(mountinfo: str) -> list[Mount]:
    """/proc/self/mountinfo, in the order of mounting."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, source, *_) = left.split(), right.split()
        found.append(Mount(fields[2], _plain(fields[3]), _plain(fields[4]), kind, _plain(source)))
    return found


def _plain(field: str) -> str:
    """The kernel writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def os_release(text: str) -> dict[str, str]:
    """/etc/os-release: shell assignments, values perhaps quoted."""
    found = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            found[key.strip()] = " ".join(shlex.split(value))
    return found


_NAMES = {
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "centos": "CentOS",
    "rhel": "RedHat",
    "rocky": "Rocky Linux",
    "almalinux": "AlmaLinux",
    "ol": "Oracle Linux",
    "fedora": "Fedora",
    "sles": "SUSE",
    "opensuse": "OpenSUSE",
    "opensuse-leap": "OpenSUSE",
    "amzn": "Amazon Linux",
    "alinux": "Alibaba Cloud Linux",
}


def platform(release: dict[str, str]) -> tuple[str, str]:
    """(name, version) of the distribution, names as the API spells them."""
    name = _NAMES.get(release.get("ID", ""), release.get("NAME", ""))
    return name or "Others Linux", release.get("VERSION_ID", "")


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        number, *unit = value.split()
        found[key] = int(number) << 10 if unit == ["kB"] else int(number)
    return found


def cores(cpuinfo: str) -> int:
    """Processors that the kernel runs on (at least one: some architectures list none)."""
    return max(1, len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)))


def cpu_model(cpuinfo: str) -> str:
    match = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Ticks since boot over all processors."""

    busy: int
    total: int


def cpu_times(stat: str) -> CpuTimes:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal."""
    ticks = [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
    idle = sum(ticks[3:5])
    return CpuTimes(sum(ticks) - idle, sum(ticks))
