"""Archives as cpio itself and the kernel's rules see them."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rehost.convert.guest import cpio, initramfs, modules
from rehost.machine.programs import find


def unpack(archive: bytes, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    command = [str(find("busybox")), "cpio", "-i", "-d"]
    subprocess.run(command, input=archive, cwd=folder, check=True, capture_output=True)


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    entries = [
        cpio.folder("bin"),
        cpio.file("bin/tool", b"\x7fELF" * 999, 0o755),
        cpio.symlink("bin/link", "tool"),
        cpio.file("odd", b"123"),
        cpio.file("empty", b""),
    ]
    unpack(cpio.archive(entries), tmp_path / "out")
    assert (tmp_path / "out/bin/tool").read_bytes() == b"\x7fELF" * 999
    assert (tmp_path / "out/bin/tool").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/bin/link").readlink() == Path("tool")
    assert (tmp_path / "out/odd").read_bytes() == b"123"
    assert (tmp_path / "out/empty").read_bytes() == b""


def test_folders_come_before_what_is_in_them_and_links_are_left_alone() -> None:
    entries = cpio.with_folders(
        [cpio.file("lib/modules/6/a.ko", b""), cpio.file("etc/x/y", b"")], ["lib", "etc"]
    )
    assert [entry.path for entry in entries] == [
        "lib/modules",
        "lib/modules/6",
        "lib/modules/6/a.ko",
        "etc/x",
        "etc/x/y",
    ]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,9}(/[a-z]{1,9}){0,2}", fullmatch=True), st.binary(max_size=9), max_size=5
    )
)
def test_archives_can_follow_each_other(files: dict[str, bytes]) -> None:
    archive = cpio.archive(cpio.with_folders([cpio.file(*item) for item in files.items()]))
    assert len(archive) % 4 == 0
    assert archive.endswith(b"TRAILER!!!\0" + cpio.padding(110 + 11))


def kernel(folder: Path) -> initramfs.Kernel:
    (folder / "kernel").mkdir(parents=True)
    for name in ("virtio_pci", "virtio_blk", "unrelated"):
        (folder / f"kernel/{name}.ko").write_bytes(name.encode() * 100)
    for name in ("dep", "dep.bin", "alias", "alias.bin", "order"):
        (folder / f"modules.{name}").write_text(name)
    dep = "kernel/virtio_blk.ko: kernel/virtio_pci.ko\nkernel/virtio_pci.ko:\nkernel/unrelated.ko:\n"
    return initramfs.Kernel("6.1", folder, modules.index(dep, ""))


def test_an_addition_lands_behind_a_link_and_replaces_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/lib/modules/6.1/kernel").mkdir(parents=True)
    (root / "usr/lib/modules/6.1/kernel/ext4.ko").write_text("kept")
    (root / "lib").symlink_to("usr/lib")
    (root / "etc").mkdir()
    extra = cpio.file("etc/systemd/network/10-x.link", b"link")
    unpack(initramfs.addition(kernel(tmp_path / "modules"), [extra]), root)
    assert (root / "lib").is_symlink()
    folder = root / "usr/lib/modules/6.1"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        *("kernel/ext4.ko", "kernel/virtio_blk.ko", "kernel/virtio_pci.ko"),
        *("modules.dep.bin", "modules.alias.bin", "modules.order"),
    }
    assert (root / "etc/systemd/network/10-x.link").read_bytes() == b"link"


def test_an_addition_is_made_once_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    image = b"\x28\xb5\x2f\xfd compressed \0\0"
    made = kernel(tmp_path / "modules")
    first = initramfs.addition(made, [cpio.file("etc/a", b"first")])
    second = initramfs.addition(made, [cpio.file("etc/a", b"the second")])
    once = initramfs.with_addition(image, first)
    assert once.startswith(image)
    assert once.index(first) % 4 == 0
    assert initramfs.with_addition(once, first) == once
    assert initramfs.with_addition(once, second) == initramfs.with_addition(image, second)
