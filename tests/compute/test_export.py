"""Exports compared with the image byte for byte, by qemu-img and by hand."""

import random
import subprocess
from pathlib import Path

import pytest

from rehost.compute.driver import ExportFormat
from rehost.compute.local import LocalDriver, export, folders
from rehost.core.errors import VolumeError, VolumeFullError
from tests.compute.replicas import CHUNK, sealed

NAMES = {"qcow2": "qcow2", "raw": "raw", "vhd": "vpc", "vmdk": "vmdk"}  # ours: qemu-img's


@pytest.fixture
def contents() -> tuple[bytes, bytes]:
    noise = random.Random(7).randbytes(3 * CHUNK)
    return noise + b"\0" * (2 << 20) + noise[:4096], b"\0" * (1 << 20) + b"tail".ljust(512, b"\0")


@pytest.fixture
def image(local: LocalDriver, contents: tuple[bytes, bytes]) -> LocalDriver:
    """An image whose overlay differs from its replica, with a disk that has grown."""
    sealed(local, "j-1", *contents)
    overlays = local.create_image("m-1", "j-1", "web", sizes={1: 3 << 20})
    for overlay in overlays:
        command: list[str | Path] = ["qemu-io", "-f", "qcow2", "-c", "write -P 0xee 512 1024", overlay]
        subprocess.run(command, check=True, capture_output=True)
    local.finish_image("m-1")
    return local


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_export_is_the_image(
    image: LocalDriver, form: ExportFormat, contents: tuple[bytes, bytes], tmp_path: Path
) -> None:
    files = image.export_image("m-1", form, tmp_path / "out")
    sizes = (len(contents[0]), 3 << 20)
    for file, disk, content, size in zip(files, image.image("m-1").disks, contents, sizes, strict=True):
        assert file.name == f"m-1-disk-{disk.volume}.{form}"
        compare: list[str | Path] = ["qemu-img", "compare", "-f", NAMES[form], "-F", "qcow2", file, disk.path]
        subprocess.run(compare, check=True, capture_output=True)
        assert _flat(file, NAMES[form], tmp_path) == _written(content).ljust(size, b"\0")


def test_an_export_needs_no_replica(image: LocalDriver, tmp_path: Path) -> None:
    file = image.export_image("m-1", ExportFormat.QCOW2, tmp_path / "out")[0]
    image.delete_image("m-1")
    image.discard_replica("j-1")
    assert len(_flat(file, "qcow2", tmp_path)) > CHUNK


def test_progress_goes_up_to_a_hundred_for_each_disk(image: LocalDriver, tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []
    image.export_image("m-1", ExportFormat.RAW, tmp_path, lambda *step: told.append(step))
    for volume in (0, 1):
        steps = [percent for number, percent in told if number == volume]
        assert steps == sorted(steps)
        assert steps[-1] == 100.0


def test_an_export_replaces_an_older_one_and_leaves_nothing_else(image: LocalDriver, tmp_path: Path) -> None:
    target = tmp_path / "m-1-disk-0.raw"
    target.write_bytes(b"old")
    (tmp_path / ".m-1-disk-0.raw.part").write_bytes(b"what a killed export left")
    image.export_image("m-1", ExportFormat.RAW, tmp_path)
    assert target.stat().st_size > CHUNK
    assert not list(tmp_path.glob(".*"))


def test_a_failed_export_leaves_the_older_one(image: LocalDriver, tmp_path: Path) -> None:
    target = tmp_path / "out" / "m-1-disk-0.raw"
    image.export_image("m-1", ExportFormat.RAW, target.parent)
    before = target.read_bytes()
    image.image("m-1").disks[0].path.write_bytes(b"no qcow2 any more")
    with pytest.raises(VolumeError, match="qemu-img"):
        image.export_image("m-1", ExportFormat.RAW, target.parent)
    assert target.read_bytes() == before


def test_without_room_nothing_is_begun(
    image: LocalDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "free_bytes", lambda path: 1000)
    with pytest.raises(VolumeFullError, match="1000 bytes free"):
        image.export_image("m-1", ExportFormat.RAW, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_system_that_fills_up_is_said_to_be_full(image: LocalDriver, tmp_path: Path) -> None:
    """A real one of 1 MiB; the check in front of it is passed by, for others may write at the same time."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        disk = image.image("m-1").disks[0]
        with pytest.raises(VolumeFullError, match="No space left"):
            export._export_disk(disk.path, small / "x.qcow2", ExportFormat.QCOW2, 0, lambda *_: None)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def _written(content: bytes) -> bytes:
    return content[:512] + b"\xee" * 1024 + content[1536:]


def _flat(file: Path, form: str, folder: Path) -> bytes:
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", file, folder / "flat"], check=True)
    return (folder / "flat").read_bytes()
