"""Parsers of /proc and /etc, over lines of real systems."""

from rehost.agent.survey.parse import proc
from rehost.agent.survey.parse.proc import CpuTimes, Mount

# Of a Debian 12 machine.
MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /srv/two\040words rw shared:1 master:2 - tmpfs with\134backslash rw,size=4k
40 27 0:44 /@home /home rw,relatime shared:7 - btrfs /dev/nvme1n1p1 rw,subvol=/@home
"""


def test_mounts_with_and_without_optional_fields() -> None:
    assert proc.mounts(MOUNTINFO) == [
        Mount("0:21", "/", "/proc", "proc", "proc"),
        Mount("254:0", "/", "/", "ext4", "/dev/vda"),
        Mount("0:25", "/", "/srv/two words", "tmpfs", "with\\backslash"),
        Mount("0:44", "/@home", "/home", "btrfs", "/dev/nvme1n1p1"),
    ]


def test_names_of_distributions_are_the_apis() -> None:
    opensuse = 'NAME="openSUSE Leap"\n# comment\nVERSION="15.5"\nID="opensuse-leap"\nVERSION_ID="15.5"\n'
    assert proc.platform(proc.os_release(opensuse)) == ("OpenSUSE", "15.5")
    debian = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
    assert proc.platform(proc.os_release(debian)) == ("Debian", "12")
    assert proc.platform(proc.os_release("ID=void\nNAME=Void\n")) == ("Void", "")
    assert proc.platform({}) == ("Others Linux", "")


def test_sizes_of_memory_are_bytes() -> None:
    text = "MemTotal:       24684096 kB\nHugePages_Total:       3\n"
    assert proc.meminfo(text) == {"MemTotal": 24684096 << 10, "HugePages_Total": 3}


def test_processors() -> None:
    text = "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
    assert (proc.cores(text), proc.cpu_model(text)) == (2, "AMD EPYC")
    assert (proc.cores("cpu: none listed"), proc.cpu_model("")) == (1, "")


def test_guest_time_is_not_counted_twice() -> None:
    """The kernel has guest time in user time already: the ninth and tenth number do not count."""
    assert proc.cpu_times("cpu  10 1 5 80 4 0 0 0 9 9\ncpu0 1 1 1 1\n") == CpuTimes(16, 100)
