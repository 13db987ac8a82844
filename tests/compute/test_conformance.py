"""What every driver does alike; the in-memory one included."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rehost.compute.driver import Driver, ExportFormat, ImageState, VolumeSpec, mac_of
from rehost.compute.local import LocalDriver
from rehost.compute.memory import MemoryDriver
from rehost.core import digest
from rehost.core.errors import NotFoundError, RehostError, VolumeError, VolumeFullError
from tests.compute.replicas import CHUNK, fill, spec

CONTENTS = (b"system" * 100_000, b"\0" * CHUNK + b"data" * 7)
SPECS = [VolumeSpec(0, 600_064, CHUNK, 600_000), VolumeSpec(1, CHUNK + 512, CHUNK, 512)]
PADDED = tuple(content.ljust(volume.size, b"\0") for content, volume in zip(CONTENTS, SPECS, strict=True))


@pytest.fixture(params=[LocalDriver, MemoryDriver])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    made: Callable[[Path], Driver] = request.param
    return made(tmp_path / "data")


def seal(driver: Driver, job: str = "j-1", generation: int = 1) -> None:
    """Bring a job's replica to its seal in the given generation."""
    driver.create_replica(job, SPECS, generation)
    driver.seal(job, _roots(driver, job, generation))


def _roots(driver: Driver, job: str, generation: int) -> tuple[bytes, ...]:
    if isinstance(driver, LocalDriver):
        return fill(driver.replica_path(job), PADDED, generation)
    return (digest.of(b"a"), digest.of(b"b"))


def has_replica(driver: Driver, job: str = "j-1") -> bool:
    assert isinstance(driver, LocalDriver | MemoryDriver)
    return driver.has_replica(job)


def test_an_image_comes_from_a_sealed_replica_and_ends_ready(driver: Driver) -> None:
    seal(driver)
    overlays = driver.create_image("m-1", "j-1", "web", description="the shop", region="local")
    image = driver.image("m-1")
    assert (image.state, image.name, image.description, image.region) == (
        ImageState.BUILDING,
        "web",
        "the shop",
        "local",
    )
    assert tuple(disk.path for disk in image.disks) == overlays
    assert [(disk.volume, disk.size) for disk in image.disks] == [(0, 600_064), (1, CHUNK + 512)]
    assert image.mac == mac_of("m-1")
    assert driver.finish_image("m-1").state is ImageState.READY
    assert [image.id for image in driver.images()] == ["m-1"]


def test_no_image_of_a_replica_that_may_still_change(driver: Driver) -> None:
    driver.create_replica("j-1", SPECS, 1)
    with pytest.raises(VolumeError, match="not sealed"):
        driver.create_image("m-1", "j-1", "web")
    with pytest.raises(NotFoundError):
        driver.create_image("m-1", "j-2", "web")
    assert driver.images() == ()


def test_a_disk_is_as_large_as_asked_but_never_smaller_than_its_source(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web", sizes={0: 2 << 30, 1: 1 << 10})
    assert [disk.size for disk in driver.image("m-1").disks] == [2 << 30, CHUNK + 512]


def test_everything_can_be_done_again(driver: Driver) -> None:
    for _ in range(2):
        driver.create_replica("j-1", SPECS, 1)
    roots = _roots(driver, "j-1", 1)
    for _ in range(2):
        driver.seal("j-1", roots)
    for _ in range(2):
        driver.create_image("m-1", "j-1", "web")
    for _ in range(2):
        driver.record_conversion("m-1", {"changes": []})
    for _ in range(2):
        driver.finish_image("m-1")
    for _ in range(2):
        driver.discard_replica("j-1")
    for _ in range(2):
        driver.delete_image("m-1")
    assert driver.images() == ()


def test_a_replica_with_other_disks_is_refused(driver: Driver) -> None:
    driver.create_replica("j-1", SPECS, 1)
    with pytest.raises(RehostError, match="other"):
        driver.create_replica("j-1", SPECS[:1], 1)


def test_a_newer_generation_opens_the_replica_again_and_drops_the_failed_image(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    driver.fail_image("m-1", "did not boot")
    driver.create_replica("j-1", SPECS, 2)
    assert driver.images() == ()
    with pytest.raises(VolumeError, match="not sealed"):
        driver.create_image("m-1", "j-1", "web")
    seal(driver, generation=2)
    driver.create_image("m-1", "j-1", "web")


def test_a_replica_below_a_finished_image_is_not_opened_again(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    driver.finish_image("m-1")
    with pytest.raises(VolumeError, match="m-1"):
        driver.create_replica("j-1", SPECS, 2)
    driver.create_image("m-2", "j-1", "again")  # still sealed


def test_a_failed_image_says_why_and_can_become_a_good_one(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    driver.fail_image("m-1", "no room")
    driver.fail_image("m-2", "never made")
    assert (driver.image("m-1").state, driver.image("m-1").error) == (ImageState.FAILED, "no room")
    driver.create_image("m-1", "j-1", "web")
    assert (driver.image("m-1").state, driver.image("m-1").error) == (ImageState.BUILDING, "")


def test_images_keep_a_discarded_replica_alive(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "one")
    driver.create_image("m-2", "j-1", "two")
    driver.discard_replica("j-1")
    driver.delete_image("m-1")
    assert has_replica(driver)
    driver.delete_image("m-2")
    assert not has_replica(driver)


def test_a_replica_outlives_its_images_while_its_job_needs_it(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "one")
    driver.delete_image("m-1")
    assert has_replica(driver)
    driver.discard_replica("j-1")
    assert not has_replica(driver)


def test_a_discarded_replica_can_be_asked_for_again(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "one")
    driver.discard_replica("j-1")
    driver.create_replica("j-1", SPECS, 1)
    driver.delete_image("m-1")
    assert has_replica(driver)


def test_what_is_not_there_is_said_to_be(driver: Driver) -> None:
    with pytest.raises(NotFoundError):
        driver.image("m-1")
    with pytest.raises(NotFoundError):
        driver.export_image("m-1", ExportFormat.RAW, Path("/nowhere"))
    with pytest.raises(NotFoundError):
        driver.finish_image("m-1")
    with pytest.raises(NotFoundError):
        driver.seal("j-1", [])
    driver.delete_image("m-1")
    driver.discard_replica("j-1")


def test_a_full_place_is_refused_before_anything_is_copied(driver: Driver) -> None:
    huge = VolumeSpec(0, 1 << 50, CHUNK, used=1 << 49)
    with pytest.raises(VolumeFullError, match=str(1 << 49)):
        driver.create_replica("j-1", [huge], 1)
    assert not has_replica(driver)


def test_room_is_asked_for_used_bytes_only(driver: Driver) -> None:
    driver.create_replica("j-1", [VolumeSpec(0, 1 << 40, 1 << 20, used=1 << 20)], 1)
    assert has_replica(driver)


def test_an_export_is_one_file_per_disk(driver: Driver, tmp_path: Path) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    with pytest.raises(VolumeError, match="being built"):
        driver.export_image("m-1", ExportFormat.RAW, tmp_path / "out")
    driver.finish_image("m-1")
    told: list[tuple[int, float]] = []
    files = driver.export_image("m-1", ExportFormat.RAW, tmp_path / "out", lambda *step: told.append(step))
    assert [file.name for file in files] == ["m-1-disk-0.raw", "m-1-disk-1.raw"]
    assert [file.stat().st_size for file in files] == [600_064, CHUNK + 512]
    assert (0, 100.0) in told
    assert (1, 100.0) in told


def test_macs_are_local_unicast_and_differ() -> None:
    macs = {mac_of(f"m-{number}") for number in range(100)}
    assert len(macs) == 100
    assert all(mac.startswith("52:54:00:") for mac in macs)
    assert spec(0, b"x").size == 1
