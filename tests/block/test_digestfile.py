"""Digest files: written and read back, damaged at every byte, cut off at every length."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.block import digestfile
from rehost.block.digestfile import DigestedDisk, Header
from rehost.block.digests import root_of
from rehost.block.journal import Journal
from rehost.block.memory import MemoryDevice
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.errors import DigestFileError
from rehost.core.server import Disk

CHUNK = 4096


def journal(contents: list[bytes]) -> Journal:
    device = MemoryDevice(len(contents) * digest.SIZE)
    for chunk, content in enumerate(contents):
        device.write(chunk * digest.SIZE, digest.of(content))
    return Journal(device)


def write(path: Path, *disks: list[bytes]) -> Header:
    journals = [journal(contents) for contents in disks]
    shapes = [VolumeShape(number, len(contents) * CHUNK, CHUNK) for number, contents in enumerate(disks)]
    digested = tuple(
        DigestedDisk(shape, root_of(source, shape).hex(), Disk(shape.volume, "/dev/sda", shape.size))
        for shape, source in zip(shapes, journals, strict=True)
    )
    header = Header("m-1", "j-1", "r-1", 1.5, digested)
    digestfile.write(path, header, journals)
    return header


def read_all(path: Path) -> list[bytes]:
    return [digests.read(0, disk.shape.chunks) for disk, digests in digestfile.readers(path)]


@given(st.lists(st.lists(st.binary(max_size=2), min_size=1, max_size=40), min_size=1, max_size=4))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, disks: list[list[bytes]]) -> None:
    path = tmp_path_factory.mktemp("written") / "digests"
    header = write(path, *disks)
    assert digestfile.read_header(path) == header
    digestfile.check(path)
    assert read_all(path) == [b"".join(map(digest.of, contents)) for contents in disks]
    assert [entry.name for entry in path.parent.iterdir()] == ["digests"]


def test_a_disk_that_nobody_reads_is_passed(tmp_path: Path) -> None:
    path = tmp_path / "digests"
    write(path, [b"a"] * 9000, [b"b"])
    found = [digests.read(0, 1) for disk, digests in digestfile.readers(path) if disk.shape.volume == 1]
    assert found == [digest.of(b"b")]


def test_digests_of_zeroes_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "digests"
    write(path, [bytes(1)] * 100_000)
    assert path.stat().st_size < 100_000 * digest.SIZE / 100


def harmed(content: bytes) -> list[bytes]:
    flipped = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(len(content))]
    return flipped + [content[:length] for length in range(len(content))]


def refused(path: Path) -> bool:
    try:
        digestfile.check(path)
    except DigestFileError:
        return True
    return False


def test_no_damage_passes_unseen(tmp_path: Path) -> None:
    """The checksums of zstd's own frame are not needed: the roots in the header vouch for all digests."""
    path = tmp_path / "digests"
    write(path, [b"a", b"b", b"c"], [b"d"])
    whole = read_all(path)
    for content in harmed(path.read_bytes()):
        path.write_bytes(content)
        # A bit of the frame's header may say nothing here.
        assert refused(path) or read_all(path) == whole


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"#!/bin/sh\n"), "no digest file"),
        (lambda path: path.write_bytes(digestfile._MAGIC + digestfile._SIZES.pack(2, 0)), "version 2"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_other_files_are_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "file")
    with pytest.raises(DigestFileError, match=says):
        digestfile.read_header(tmp_path / "file")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DigestFileError, match="cannot be written"):
        write(tmp_path / "no" / "folder", [b"a"])
