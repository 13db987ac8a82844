"""What only files and block devices do: O_DIRECT, holes, and the kernel's errors."""

import os
from pathlib import Path

import pytest

from rehost.block.file import open_source, open_volume
from rehost.block.linux import aligned_buffer
from rehost.core.errors import SourceReadError, VolumeError, VolumeFullError
from tests.block.kinds import failing_disk
from tests.loopdisks import LoopDisks, run

MIB = 1 << 20


@pytest.mark.parametrize("size", [MIB, MIB + 512, MIB + 4096])
@pytest.mark.parametrize("direct", [True, False])
def test_sources_read_alike_aligned_or_not(disks: LoopDisks, size: int, direct: bool) -> None:
    disk = disks.make(size)
    content = os.urandom(size)
    disk.image.write_bytes(content)
    source = open_source(Path(disk.path), direct=direct)
    assert source.size == size
    for offset, length in [(0, 65536), (4096, 8192), (512, 512), (1, 10_000), (size - 700, 700), (0, size)]:
        for buffer in (aligned_buffer(length), memoryview(bytearray(length))):
            source.read_into(offset, buffer)
            assert buffer == content[offset : offset + length]
    source.close()


def test_direct_reads_see_what_the_disk_has_not_what_the_cache_says(disks: LoopDisks) -> None:
    """The reason for O_DIRECT: a disk's page cache goes stale under a mounted file system's own."""
    disk = disks.make(MIB)
    content = os.urandom(MIB)
    with open(disk.path, "rb") as cached:
        assert cached.read(4096) == bytes(4096)
        with open(disk.image, "r+b") as behind:
            behind.write(content)
        direct = open_source(Path(disk.path), direct=True)
        buffer = aligned_buffer(4096)
        direct.read_into(0, buffer)
        direct.close()
        assert buffer == content[:4096]


def test_a_source_file_of_any_size_is_read_to_its_end(tmp_path: Path) -> None:
    content = os.urandom(100_003)
    (tmp_path / "odd").write_bytes(content)
    source = open_source(tmp_path / "odd")
    buffer = memoryview(bytearray(4099))
    source.read_into(100_003 - 4099, buffer)
    assert buffer == content[-4099:]
    source.close()


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("offset", [0, 3 * MIB, 3 * MIB + 5])
def test_a_disk_that_ended_says_where(tmp_path: Path, direct: bool, offset: int) -> None:
    """It had 4 MiB when it was opened."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(4 * MIB))
    source = open_source(path, direct=direct)
    os.truncate(path, 3 * MIB + 4096 if offset else 0)
    with pytest.raises(SourceReadError, match=rf"cannot read \d+ bytes at \d+ of {path}"):
        source.read_into(offset, aligned_buffer(MIB - 5))
    source.close()


@pytest.mark.parametrize("direct", [True, False])
def test_the_kernels_read_error_has_its_place(tmp_path: Path, direct: bool) -> None:
    with failing_disk(tmp_path, "read", 8192) as disk:
        source = open_source(disk, direct=direct)
        source.read_into(0, aligned_buffer(MIB))
        with pytest.raises(SourceReadError, match=rf"at {4 * MIB} of {disk}: Input/output error") as caught:
            source.read_into(4 * MIB, aligned_buffer(MIB))
        assert "start the job again" in caught.value.advice
        source.close()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match=r"cannot open .+: No such file"):
        open_source(tmp_path / "sda")


def test_a_volume_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="cannot open"):
        open_volume(tmp_path / "disk-0.raw")


@pytest.mark.parametrize(("operation", "sector"), [("write", 0), ("flush", -1)])
def test_the_kernels_write_error_comes_at_the_latest_with_the_flush(
    tmp_path: Path, operation: str, sector: int
) -> None:
    with failing_disk(tmp_path, operation, sector) as disk:
        volume = open_volume(disk)
        with pytest.raises(VolumeError, match=f"{disk}: Input/output error") as caught:
            volume.write(0, b"x" * 4096)
            volume.flush()
        assert not isinstance(caught.value, VolumeFullError)
        volume.close()


def test_a_volumes_read_error_is_not_the_sources(tmp_path: Path) -> None:
    with failing_disk(tmp_path, "read", 0) as disk:
        volume = open_volume(disk)
        with pytest.raises(VolumeError, match="cannot read"):
            volume.read_into(0, aligned_buffer(4096))
        volume.close()


def test_a_full_file_system_is_an_error_of_its_own(tmp_path: Path) -> None:
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path)
    try:
        path = tmp_path / "volume.raw"
        path.touch()
        os.truncate(path, 4 * MIB)
        volume = open_volume(path)
        with pytest.raises(VolumeFullError, match="No space left") as caught:
            volume.write(0, bytes(2 * MIB))
        assert "make room" in caught.value.advice
        volume.close()
    finally:
        run("umount", tmp_path)


def test_zeroed_ranges_give_their_space_back(tmp_path: Path) -> None:
    path = tmp_path / "volume.raw"
    path.write_bytes(b"x" * (4 * MIB))
    volume = open_volume(path)
    volume.flush()
    before = path.stat().st_blocks
    volume.zero(MIB, 2 * MIB)
    volume.flush()
    assert path.stat().st_blocks == before - (2 * MIB) // 512
    volume.close()
