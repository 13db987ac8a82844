"""Network names, modules, packages and other small texts of a guest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.convert.guest import facts, modules, network
from rehost.convert.guest.packages import Installed, Package, UnmetError, beyond, installed, missing
from rehost.convert.packages import codename_of
from tests.convert.names import words

DEP = """\
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/net/bridge/br-netfilter.ko:
"""


def test_modules_are_ordered_so_that_they_can_be_loaded() -> None:
    index = modules.index(DEP, "kernel/drivers/scsi/sd_mod.ko\n")
    names = [modules.module_name(path) for path in index.closure(["virtio_blk", "virtio_pci", "sd_mod"])]
    assert names == ["virtio", "virtio_ring", "virtio_blk", "virtio_pci"]
    assert index.has("sd_mod")
    assert index.has("br_netfilter")
    assert not index.has("virtio_net")


@given(st.lists(st.one_of(st.sampled_from(modules.VIRTIO), words, words.map("# {}".format))).map("\n".join))
def test_modules_for_the_next_rebuild_are_added_once(text: str) -> None:
    once = modules.with_modules(text, modules.VIRTIO)
    assert once.startswith(text)
    assert modules.with_modules(once, modules.VIRTIO) == once
    assert set(modules.VIRTIO) <= {line.split()[0] for line in once.splitlines() if line.strip()}


def test_the_link_file_matches_what_systemd_can() -> None:
    assert "[Match]\nPermanentMACAddress=52:54:00:aa:bb:cc\n" in network.link_file(
        "ens3", "52:54:00:AA:BB:CC", 252
    )
    assert "[Match]\nMACAddress=" in network.link_file("ens3", "52:54:00:AA:BB:CC", 241)
    assert network.link_file("ens3", "52:54:00:AA:BB:CC", 252).endswith("[Link]\nName=ens3\n")


def test_addresses_of_cards_are_replaced_whole() -> None:
    old, new = "52:54:00:12:34:56", "02:00:00:00:00:01"
    text = "macaddress: 52:54:00:12:34:56\nMAC='52:54:00:12:34:56'\nother: aa:52:54:00:12:34:56\n"
    edited = network.replace_address(text.upper(), old, new)
    assert edited.count(new) == 2
    assert "AA:52:54:00:12:34:56" in edited
    assert network.replace_address(text, "", new) == text
    assert network.replace_address(edited, old, new) == edited


def test_os_release_and_families() -> None:
    release = facts.os_release('PRETTY_NAME="Ubuntu 22.04"\nID=ubuntu\nID_LIKE=debian\n# X=1\n')
    assert release["PRETTY_NAME"] == "Ubuntu 22.04"
    assert facts.is_debian_family(release)
    assert facts.is_debian_family({"ID": "debian"})
    assert not facts.is_debian_family(facts.os_release('ID="centos"\nID_LIKE="rhel fedora"\n'))


def test_versions() -> None:
    assert facts.major("252.39-1~deb12u2") == 252
    assert facts.major("1:7.2+dfsg") == 7
    assert facts.major("") == 0


def test_debconf_answers() -> None:
    text = (
        "Name: grub-pc/install_devices\nTemplate: grub-pc/install_devices\nValue: /dev/disk/by-id/x\n"
        "Owners: grub-pc\n\nName: other\nTemplate: other\nValue: /dev/disk/by-id/x\n"
    )
    edited = facts.with_debconf_value(text, "grub-pc/install_devices", "/dev/vda")
    assert edited == text.replace("/dev/disk/by-id/x", "/dev/vda", 1)
    assert facts.with_debconf_value(edited, "grub-pc/install_devices", "/dev/vda") == edited
    assert facts.with_debconf_value(text, "grub-pc/none", "x") == text


STATUS = """\
Package: libc6
Status: install ok installed
Version: 2.36-9
Provides: libc6-2.36, libc-any (= 1)

Package: half
Status: install ok half-configured
Version: 1

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def test_what_dpkg_says_is_installed() -> None:
    present = installed(STATUS)
    assert present.versions == {"libc6": "2.36-9"}
    assert present.has("libc-any")
    assert not present.has("gone")


AT_HAND = [
    Package(
        "agent", "1", "agent.deb", "init (>= 1), libglib (>= 2.66), libc6 (>= 2.34), liburing:any | liburing1"
    ),
    Package("libglib", "2", "libglib.deb", "libc6, libffi", "libglib-abi"),
    Package("libffi", "3", "libffi.deb", "libc6"),
    Package("liburing", "4", "liburing.deb"),
    Package("init", "5", "init.deb", "usrmerge | usr-is-merged"),
    Package("usrmerge", "6", "usrmerge.deb", "perl"),
    Package("perl", "7", "perl.deb", "libc6"),
    Package("libc6", "8", "libc6.deb"),
]


def test_only_what_is_missing_is_installed_and_in_order() -> None:
    chosen = missing("agent", AT_HAND, Installed({"libc6": "2", "init": "1", "libffi": "3"}))
    assert [package.name for package in chosen] == ["libglib", "liburing", "agent"]
    assert missing("agent", AT_HAND, Installed({"agent": "1"})) == []


def test_an_alternative_that_is_installed_counts() -> None:
    present = Installed({"libc6": "2", "usr-is-merged": "1", "liburing1": "1"}, frozenset({"libglib"}))
    assert [package.name for package in missing("agent", AT_HAND, present)] == ["init", "agent"]


def test_a_dependency_that_nobody_has_is_named() -> None:
    with pytest.raises(UnmetError, match="libglib"):
        missing("agent", [AT_HAND[0]], Installed({"init": "1", "libc6": "2"}))


def test_what_every_guest_has_need_not_be_carried() -> None:
    assert [package.name for package in beyond(["init"], AT_HAND)] == [
        "agent",
        "libglib",
        "libffi",
        "liburing",
    ]


def test_releases_with_packages() -> None:
    assert codename_of("Debian", "12") == "bookworm"
    assert codename_of("Debian GNU/Linux", "11.9") == "bullseye"
    assert codename_of("debian", "13 (trixie)") == "trixie"
    assert codename_of("Ubuntu", "12") is None
    assert codename_of("Debian", "") is None
