"""What of images lies on disk, looked at with qemu-img."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.block.room import Room
from rehost.compute.driver import ImageState, VolumeSpec
from rehost.compute.local import LocalDriver, replicas
from rehost.core import digest
from rehost.core.errors import NotFoundError, VolumeError, VolumeFullError, VolumeInUseError
from rehost.machine.storage_daemon import DiskImage, StorageDaemon
from tests.compute.replicas import CHUNK, fill, sealed

CHANGED = b"\1" * CHUNK + b"\3" * CHUNK + b"\4" * 512
CONTENT = b"\1" * CHUNK + b"\0" * CHUNK + b"\2" * 512


def info(path: Path) -> dict[str, object]:
    output = subprocess.run(
        ["qemu-img", "info", "--output=json", path], check=True, capture_output=True
    ).stdout
    found: dict[str, object] = json.loads(output)
    return found


def write(path: Path, offset: int, length: int) -> None:
    """As a conversion would, through QEMU's own code."""
    command = f"write -P 0xee {offset} {length}"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, path], check=True, capture_output=True)


def content(path: Path, target: Path) -> bytes:
    subprocess.run(["qemu-img", "convert", "-O", "raw", path, target], check=True)
    return target.read_bytes()


@pytest.fixture
def overlay(local: LocalDriver) -> Path:
    sealed(local, "j-1", CONTENT)
    return local.create_image("m-1", "j-1", "web")[0]


def test_an_overlay_shows_its_replica_and_leaves_it_alone(
    local: LocalDriver, overlay: Path, tmp_path: Path
) -> None:
    assert content(overlay, tmp_path / "flat") == CONTENT
    write(overlay, 0, 4096)
    assert content(overlay, tmp_path / "flat") == b"\xee" * 4096 + CONTENT[4096:]
    assert (local.replica_path("j-1") / "layers/000000/disk-0.raw").read_bytes() == CONTENT


def test_the_data_folder_can_be_moved(overlay: Path, tmp_path: Path) -> None:
    assert info(overlay)["backing-filename"] == "../../replicas/j-1/layers/000000/disk-0.raw"
    moved = shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    image = LocalDriver(Path(moved)).image("m-1")
    assert image.disks[0].path == tmp_path / "elsewhere/images/m-1/disk-0.qcow2"
    assert content(image.disks[0].path, tmp_path / "flat") == CONTENT


def test_a_larger_disk_reads_zeroes_past_its_source(local: LocalDriver, tmp_path: Path) -> None:
    sealed(local, "j-1", CONTENT)
    overlay = local.create_image("m-1", "j-1", "web", sizes={0: 1 << 20})[0]
    assert info(overlay)["virtual-size"] == 1 << 20
    assert content(overlay, tmp_path / "flat") == CONTENT.ljust(1 << 20, b"\0")


def test_a_second_call_starts_from_fresh_overlays(local: LocalDriver, overlay: Path, tmp_path: Path) -> None:
    write(overlay, 0, 4096)
    (overlay.parent / "report.json").write_text("{}")
    again = local.create_image("m-1", "j-1", "web")[0]
    assert again == overlay
    assert content(again, tmp_path / "flat") == CONTENT
    assert not (again.parent / "report.json").exists()


def test_what_a_killed_call_left_confuses_nobody(local: LocalDriver, tmp_path: Path) -> None:
    """Every state that kill -9 can leave: half a new folder, and an old one that was moved aside."""
    sealed(local, "j-1", CONTENT)
    images = tmp_path / "data/images"
    for name in (".m-1.new", ".m-1.gone", ".m-2.gone"):
        (images / name).mkdir(parents=True)
        (images / name / "disk-0.qcow2").write_bytes(b"half")
        (images / name / "image.json").write_bytes(b"{")
    assert local.images() == ()
    with pytest.raises(NotFoundError):
        local.image("m-1")
    overlay = local.create_image("m-1", "j-1", "web")[0]
    assert content(overlay, tmp_path / "flat") == CONTENT
    assert sorted(entry.name for entry in images.iterdir()) == ["m-1"]


def test_images_may_have_a_file_system_of_their_own(local: LocalDriver, overlay: Path) -> None:
    """Which has a folder that nobody made."""
    (overlay.parents[1] / "lost+found").mkdir()
    assert [image.id for image in local.images()] == ["m-1"]


def test_ids_cannot_lead_out_of_the_folder(local: LocalDriver) -> None:
    for name in ("../replicas", ".", "..", "", ".m-1.new"):
        with pytest.raises(NotFoundError):
            local.image(name)
        with pytest.raises(NotFoundError):
            local.delete_image(name)
        with pytest.raises(NotFoundError):
            local.replica_path(name)


def test_a_damaged_record_is_named(local: LocalDriver, overlay: Path) -> None:
    (overlay.parent / "image.json").write_text('{"id": ')
    with pytest.raises(VolumeError, match=r"m-1.*image\.json"):
        local.images()


def test_reports_are_kept(local: LocalDriver, overlay: Path) -> None:
    local.record_conversion("m-1", {"changes": [{"path": "/etc/fstab"}]})
    report = json.loads((overlay.parent / "report.json").read_text())
    assert report == {"changes": [{"path": "/etc/fstab"}]}


def test_what_is_written_already_needs_no_room(local: LocalDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = b"\7" * (4 * CHUNK)
    specs = [VolumeSpec(0, len(whole), CHUNK, used=len(whole))]
    local.create_replica("j-1", specs, 1, "r-1")
    fill(local.replica_path("j-1"), [whole], 1)
    monkeypatch.setattr(replicas, "room_at", lambda path: Room(4096, 512))
    local.create_replica("j-1", specs, 2, "r-1")
    with pytest.raises(VolumeFullError, match=rf"needs {4 * CHUNK} bytes more.* 4096 free"):
        local.create_replica("j-2", specs, 1, "r-2")


def test_the_record_is_whole_or_old_when_the_state_changes(local: LocalDriver, overlay: Path) -> None:
    before = (overlay.parent / "image.json").stat().st_ino
    local.finish_image("m-1")
    assert (overlay.parent / "image.json").stat().st_ino != before  # replaced, not written over
    assert local.image("m-1").state is ImageState.READY


@pytest.fixture
def layer(local: LocalDriver) -> Path:
    """The qcow2 volume of a second run whose data is there, not yet sealed."""
    sealed(local, "j-1", CONTENT)
    specs = [VolumeSpec(0, len(CONTENT), CHUNK)]
    local.create_replica("j-1", specs, 2, "r-2")
    fill(local.replica_path("j-1"), [CHANGED], 2)
    return chain(local.replica_path("j-1"))[-1].data(0)


def test_an_image_of_a_later_run_lies_on_its_layer(local: LocalDriver, layer: Path, tmp_path: Path) -> None:
    local.seal("j-1", "r-2", roots_of(CHANGED))
    overlay = local.create_image("m-2", "j-1", "web")[0]
    assert info(overlay)["backing-filename"] == "../../replicas/j-1/layers/000002/disk-0.qcow2"
    assert info(overlay)["backing-filename-format"] == "qcow2"
    assert content(overlay, tmp_path / "flat") == CHANGED
    space = local.space("m-2")
    assert 2 * CHUNK <= space.layer < 4 * CHUNK
    assert 0 < space.overlay < CHUNK


def test_a_layer_that_is_damaged_is_thrown_away_before_an_image_is_built_on_it(
    local: LocalDriver, layer: Path
) -> None:
    with layer.open("r+b") as file:
        file.seek(2 * 65536)  # QEMU's first block of reference counts
        file.write(bytes(65536))
    with pytest.raises(VolumeError, match="is damaged, and was thrown away"):
        local.seal("j-1", "r-2", roots_of(CHANGED))
    assert not layer.parent.exists()
    local.create_replica("j-1", [VolumeSpec(0, len(CONTENT), CHUNK)], 3, "r-2")
    local.seal("j-1", "r-2", fill(local.replica_path("j-1"), [CHANGED], 3))


def test_no_image_is_built_on_a_layer_that_somebody_still_writes(
    local: LocalDriver, layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "LET_GO", 0.3)
    writer = StorageDaemon([DiskImage("disk-0", layer, "qcow2")])
    with writer, pytest.raises(VolumeInUseError, match="lock"):
        local.seal("j-1", "r-2", roots_of(CHANGED))
    local.seal("j-1", "r-2", roots_of(CHANGED))


def roots_of(whole: bytes) -> list[bytes]:
    digests = [digest.of(whole[start : start + CHUNK]) for start in range(0, len(whole), CHUNK)]
    return [digest.root(digests, len(whole))]


def test_a_removal_that_was_cut_off_is_finished_by_the_next_call(tmp_path: Path) -> None:
    """A receiver that still had the replica open made a file in it, for example."""
    driver = LocalDriver(tmp_path)
    sealed(driver, "j-1", CONTENT)
    driver.discard_replica("j-other")
    replica = driver.replica_path("j-1")
    replica.rename(replica.with_name(f".{replica.name}.gone"))
    driver.discard_replica("j-1")
    assert list(replica.parent.iterdir()) == []
