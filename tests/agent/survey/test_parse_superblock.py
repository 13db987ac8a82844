"""File systems by their first bytes, against blkid's word on what the real programs make."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.survey.parse import superblock
from rehost.agent.survey.parse.superblock import FileSystem
from tests.loopdisks import run

MAKERS = {
    "ext2": ("mkfs.ext2", "-q", "-L", "label"),
    "ext3": ("mkfs.ext3", "-q", "-L", "label"),
    "ext4": ("mkfs.ext4", "-q", "-L", "label"),
    "xfs": ("mkfs.xfs", "-q", "-L", "label"),
    "btrfs": ("mkfs.btrfs", "-q", "-L", "label"),
    "swap": ("mkswap", "-L", "label"),
    "vfat": ("mkfs.vfat", "-F", "32", "-n", "LABEL"),
}


def detect(image: Path) -> FileSystem | None:
    content = image.read_bytes()
    return superblock.detect(lambda offset, length: content[offset : offset + length])


@pytest.mark.parametrize("kind", MAKERS)
def test_agrees_with_blkid(kind: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(*MAKERS[kind], image)
    words = dict(
        line.split("=", 1) for line in run("blkid", "-p", "-o", "export", image).splitlines() if "=" in line
    )
    found = detect(image)
    assert found is not None
    assert (found.type, found.uuid, found.label) == (words["TYPE"], words["UUID"], words["LABEL"])
    assert found.type == kind
    assert kind == "vfat" or 0 < found.used < 320 << 20


def test_the_small_fats_are_known_too(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    run("mkfs.vfat", "-F", "16", "-i", "1234abcd", image)
    assert detect(image) == FileSystem("vfat", "1234-ABCD", "")


def test_the_used_bytes_of_ext4_follow_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    sizes = []
    for size in (1, 9 << 20):
        (tmp_path / "tree/file").write_bytes(b"x" * size)
        run("mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "tree", tmp_path / f"{size}.img", "64M")
        found = detect(tmp_path / f"{size}.img")
        assert found is not None
        sizes.append(found.used)
    assert sizes[1] - sizes[0] == pytest.approx(9 << 20, rel=0.01)


def test_an_encrypted_partition_is_named(tmp_path: Path) -> None:
    """As cryptsetup writes it: magic, version, and the UUID as text at byte 168."""
    head = b"LUKS\xba\xbe\0\2".ljust(168, b"\0") + b"0a8ac5c0-6a70-4e2b-9d5c-0d1c4b7ad6c3"
    (tmp_path / "image").write_bytes(head.ljust(4096, b"\0"))
    found = detect(tmp_path / "image")
    assert found == FileSystem("crypto_LUKS", "0a8ac5c0-6a70-4e2b-9d5c-0d1c4b7ad6c3")


def test_an_empty_partition_holds_nothing(tmp_path: Path) -> None:
    assert superblock.detect(lambda _, length: bytes(length)) is None
    assert superblock.detect(lambda *_: b"") is None


MAGICS = [(0, b"LUKS\xba\xbe"), (0, b"XFSB"), (4096, b"\xfc\x4e\x2b\xa9\1\0\0\0"), (512, b"LABELONE")]
MAGICS += [
    (65600, b"_BHRfS_M"),
    (4086, b"SWAPSPACE2"),
    (1080, b"\x53\xef"),
    (510, b"\x55\xaa"),
    (82, b"FAT32   "),
]


@given(st.binary(max_size=70_000), st.lists(st.sampled_from(MAGICS)))
def test_noise_never_breaks_it(noise: bytes, magics: list[tuple[int, bytes]]) -> None:
    content = bytearray(noise)
    for offset, magic in magics:
        content[offset : offset + len(magic)] = magic
    found = superblock.detect(lambda offset, length: bytes(content[offset : offset + length]))
    assert found is None or found.type
