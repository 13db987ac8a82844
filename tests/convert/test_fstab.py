from hypothesis import given
from hypothesis import strategies as st

from rehost.convert.guest import fstab
from tests.convert.names import NAMES, blanks, specs, words

BEFORE = """\
# /etc/fstab: static file system information.
#/dev/sda1 /old ext4 defaults 0 1
/dev/sda1\t/         ext4  errors=remount-ro 0 1   # was /dev/hda1

  /dev/sda2 none      swap  sw                0 0
/dev/sdb1 /data     xfs   defaults,noatime  0 2
/dev/sdb1 /var/lib/db xfs defaults 0 2
UUID=cccc-data /srv/a\\040b ext4
LABEL=elsewhere /mnt ext4 noauto 0 0
/dev/sdz9 none swap sw 0 0
/data /export none bind 0 0
server:/x /nfs nfs defaults 0 0
tmpfs /tmp tmpfs mode=1777 0 0
broken line"""

AFTER = """\
# /etc/fstab: static file system information.
#/dev/sda1 /old ext4 defaults 0 1
UUID=aaaa-root\t/         ext4  errors=remount-ro 0 1   # was /dev/hda1

  UUID=bbbb-swap none      swap  sw                0 0
UUID=cccc-data /data     xfs   defaults,noatime,nofail  0 2
UUID=cccc-data /var/lib/db xfs defaults 0 2
UUID=cccc-data /srv/a\\040b ext4 defaults,nofail
LABEL=elsewhere /mnt ext4 noauto 0 0
/dev/sdz9 none swap sw,nofail 0 0
/data /export none bind 0 0
server:/x /nfs nfs defaults 0 0
tmpfs /tmp tmpfs mode=1777 0 0
broken line"""


def test_devices_by_uuid_and_data_that_may_be_missing() -> None:
    assert fstab.edit(BEFORE, NAMES) == AFTER


def test_devices_that_nobody_knows_are_told() -> None:
    assert fstab.unknown_devices(BEFORE, NAMES) == ["/dev/sdz9"]


def test_mounts_are_read_with_their_escapes() -> None:
    mounts = {mount.point: mount for mount in fstab.mounts(BEFORE)}
    assert mounts["/srv/a b"].options == ()
    assert mounts["/data"].options == ("defaults", "noatime")
    assert "/old" not in mounts


def test_what_the_system_cannot_do_without() -> None:
    assert all(map(fstab.is_system, ["/", "/boot", "/boot/efi", "/usr", "/var/log"]))
    assert not any(map(fstab.is_system, ["/data", "/home", "/srv", "/mnt/var", "none"]))


def test_crypttab() -> None:
    text = "# name device\nsecret /dev/sdb1  none luks,discard\nother UUID=x /key\n"
    edited = fstab.edit_crypttab(text, NAMES)
    assert edited == "# name device\nsecret UUID=cccc-data  none luks,discard\nother UUID=x /key\n"
    assert fstab.edit_crypttab(edited, NAMES) == edited


points = st.sampled_from(["/", "/data", "/boot", "/var", "/home", "none", "/a\\040b"])
lines = st.one_of(
    st.builds(
        lambda spec, gap, point, kind, options: f"{spec}{gap}{point}{gap}{kind}{options}",
        *(specs, blanks, points, st.sampled_from(["ext4", "xfs", "swap", "nfs"])),
        st.sampled_from(["", " defaults", "\tro,noauto 0 0", "  sw 0 0", " nofail 0 2 # comment", " "]),
    ),
    words.map("# {}".format),
    st.lists(words, max_size=7).map(" ".join),
)


@given(st.lists(lines, max_size=8).map("\n".join))
def test_converting_twice_is_converting_once(text: str) -> None:
    once = fstab.edit(text, NAMES)
    assert fstab.edit(once, NAMES) == once
    crypt = fstab.edit_crypttab(text, NAMES)
    assert fstab.edit_crypttab(crypt, NAMES) == crypt


@given(st.lists(lines, max_size=8).map("\n".join))
def test_no_line_and_no_mount_is_lost(text: str) -> None:
    edited = fstab.edit(text, NAMES)
    assert [m.point for m in fstab.mounts(edited)] == [m.point for m in fstab.mounts(text)]
    assert [line for line in edited.split("\n") if line.startswith("#")] == [
        line for line in text.split("\n") if line.startswith("#")
    ]
