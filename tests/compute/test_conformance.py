"""What every driver does alike; the in-memory one included."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rehost.block.layer import chain
from rehost.compute.driver import Driver, ExportFormat, ImageState, Trimmed, VolumeSpec, mac_of
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


def seal(driver: Driver, job: str = "j-1", generation: int = 1, run: str = "r-1") -> tuple[bytes, ...]:
    """Bring a run's layer to its seal in the given generation; the roots of what it began with."""
    before = driver.create_replica(job, SPECS, generation, run)
    driver.seal(job, run, _roots(driver, job, generation))
    return before


def finished(driver: Driver, *numbers: int) -> None:
    """Runs of a job, each with its own image: generation, run and image have the same number."""
    for number in numbers:
        seal(driver, generation=number, run=f"r-{number}")
        driver.create_image(f"m-{number}", "j-1", f"web {number}")
        driver.finish_image(f"m-{number}")


def layers(driver: Driver, job: str = "j-1") -> int:
    if isinstance(driver, LocalDriver):
        return len(chain(driver.replica_path(job)))
    assert isinstance(driver, MemoryDriver)
    return driver.layers(job)


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


def test_how_an_image_was_made_is_told_once_it_is_known(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    assert driver.conversion("m-1") is None
    assert driver.boot_evidence("m-1") is None
    driver.record_conversion("m-1", {"changes": []})
    assert driver.conversion("m-1") == {"changes": []}
    with pytest.raises(NotFoundError):
        driver.conversion("m-2")
    with pytest.raises(NotFoundError):
        driver.boot_evidence("m-2")


def test_no_image_of_a_replica_that_may_still_change(driver: Driver) -> None:
    driver.create_replica("j-1", SPECS, 1, "r-1")
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
        driver.create_replica("j-1", SPECS, 1, "r-1")
    roots = _roots(driver, "j-1", 1)
    for _ in range(2):
        driver.seal("j-1", "r-1", roots)
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
    driver.create_replica("j-1", SPECS, 1, "r-1")
    with pytest.raises(RehostError, match="other"):
        driver.create_replica("j-1", SPECS[:1], 1, "r-1")


def test_a_newer_generation_opens_the_replica_again_and_drops_the_failed_image(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    driver.fail_image("m-1", "did not boot")
    driver.create_replica("j-1", SPECS, 2, "r-1")
    assert driver.images() == ()
    with pytest.raises(VolumeError, match="not sealed"):
        driver.create_image("m-1", "j-1", "web")
    seal(driver, generation=2)
    driver.create_image("m-1", "j-1", "web")


def test_a_run_puts_a_layer_on_the_sealed_ones_and_is_told_their_roots(driver: Driver) -> None:
    assert seal(driver) == ()
    roots = _roots(driver, "j-1", 1)
    driver.create_image("m-1", "j-1", "web")
    driver.finish_image("m-1")
    assert driver.create_replica("j-1", SPECS, 2, "r-2") == roots
    with pytest.raises(VolumeError, match="not sealed"):
        driver.create_image("m-2", "j-1", "again")
    assert driver.create_replica("j-1", SPECS, 3, "r-2") == roots
    assert (layers(driver), driver.image("m-1").run) == (2, "r-1")
    driver.seal("j-1", "r-2", _roots(driver, "j-1", 3))
    driver.create_image("m-2", "j-1", "again")
    assert driver.image("m-2").run == "r-2"


def test_a_run_that_begins_again_leaves_the_layer_of_its_finished_image_alone(driver: Driver) -> None:
    finished(driver, 1)
    driver.create_replica("j-1", SPECS, 2, "r-1")
    assert layers(driver) == 2
    assert [image.id for image in driver.images()] == ["m-1"]


def test_the_oldest_images_go_and_the_chain_stays_as_short_as_they_are_few(driver: Driver) -> None:
    finished(driver, 1, 2)
    assert driver.trim("j-1", 2) == Trimmed(())
    finished(driver, 3, 4)
    assert layers(driver) == 4
    for _ in range(2):
        trimmed = driver.trim("j-1", 2)
        assert ([image.id for image in driver.images()], layers(driver)) == (["m-3", "m-4"], 2)
    assert trimmed == Trimmed(())
    assert driver.trim("j-1", 1) == Trimmed(("m-3",))
    finished(driver, 5)
    assert driver.trim("j-1", 1) == Trimmed(("m-4",))
    assert (layers(driver), driver.image("m-5").run) == (1, "r-5")


def test_the_layer_of_an_image_that_somebody_deleted_is_merged_later(driver: Driver) -> None:
    finished(driver, 1, 2, 3)
    driver.delete_image("m-2")
    assert layers(driver) == 3
    assert driver.trim("j-1", 3) == Trimmed(())
    assert layers(driver) == 2
    driver.delete_image("m-3")
    assert driver.trim("j-1", 3) == Trimmed(())
    assert layers(driver) == 2  # the next run builds on the newest one


def test_nothing_is_trimmed_while_a_run_writes(driver: Driver) -> None:
    finished(driver, 1, 2)
    driver.create_replica("j-1", SPECS, 3, "r-3")
    assert "being written" in driver.trim("j-1", 1).postponed
    assert (len(driver.images()), layers(driver)) == (2, 3)


def test_a_failed_image_says_why_and_can_become_a_good_one(driver: Driver) -> None:
    seal(driver)
    driver.create_image("m-1", "j-1", "web")
    driver.fail_image("m-1", "no room")
    driver.fail_image("m-2", "never made")
    assert (driver.image("m-1").state, driver.image("m-1").error) == (ImageState.FAILED, "no room")
    driver.create_image("m-1", "j-1", "web")
    assert (driver.image("m-1").state, driver.image("m-1").error) == (ImageState.BUILDING, "")


def test_the_generations_of_all_replicas(driver: Driver) -> None:
    assert driver.generations() == {}
    driver.create_replica("j-1", SPECS, 1, "r-1")
    driver.create_replica("j-2", SPECS, 7, "r-2")
    assert driver.generations() == {"j-1": 1, "j-2": 7}


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
    driver.create_replica("j-1", SPECS, 1, "r-1")
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
        driver.seal("j-1", "r-1", [])
    driver.delete_image("m-1")
    driver.discard_replica("j-1")


def test_a_full_place_is_refused_before_anything_is_copied(driver: Driver) -> None:
    huge = VolumeSpec(0, 1 << 50, CHUNK, used=1 << 49)
    with pytest.raises(VolumeFullError, match=str(1 << 49)):
        driver.create_replica("j-1", [huge], 1, "r-1")
    assert not has_replica(driver)


def test_room_is_asked_for_used_bytes_only(driver: Driver) -> None:
    driver.create_replica("j-1", [VolumeSpec(0, 1 << 40, 1 << 20, used=1 << 20)], 1, "r-1")
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


def test_a_driver_has_roles_for_instances_or_needs_none_itself(driver: Driver) -> None:
    """Where instances have roles, the driver acts on a cloud, and has the role that this takes."""
    assert (driver.instance_roles() is None) is (driver.service_role() is None)


def test_a_driver_of_a_place_with_roles(tmp_path: Path) -> None:
    there = MemoryDriver(tmp_path, roles=frozenset({"SMCAdmin"}))
    assert there.instance_roles() == {"SMCAdmin"}
    assert there.service_role() == "AliyunServiceRoleForSMC"
