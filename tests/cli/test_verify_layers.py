"""`rehost verify` where a later run wrote a layer on top: each image is compared with its own run."""

import json
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from rehost.block.layer import Layer
from rehost.compute.local import merging, trimming
from rehost.compute.local.images import Images
from rehost.core.extent import Extent, chunks_of
from tests.cli import copied
from tests.cli.copied import CONTENTS, Folder, cut, damage
from tests.compute.inuse import in_use
from tests.compute.replicas import CHUNK, spec
from tests.loopdisks import run

# Of the second run: chunk 0 is another, 2 is new, 4 is zeroes now; 5 and the other disk are as they were.
LATER = (
    b"".join((bytes([9]) * CHUNK, bytes(CHUNK), bytes([7]) * CHUNK, bytes(2 * CHUNK), bytes([2]) * CHUNK)),
    CONTENTS[1],
)
RAW, QCOW2 = 0, 1


class Twice:
    """A data folder with the images of two runs."""

    def __init__(self, folder: Folder, images: tuple[str, ...]) -> None:
        self.folder = folder
        self.images = images

    def duplicate(self, data: Path) -> "Twice":
        return Twice(self.folder.duplicate(data), self.images)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.folder.layers

    def findings(self) -> list[tuple[str, list[int]]]:
        """What is found of disk 0 of each image, and in which chunks; the other disk is equal."""
        return [self.finding(image) for image in self.images]

    def finding(self, image: str) -> tuple[str, list[int]]:
        result = self.folder.verify(image, "--json")
        disk, other = json.loads(result.stdout)["disks"]
        assert other["equal"]
        assert result.exit_code == (0 if disk["equal"] else 5)
        chunks = list(chunks_of((Extent(at["start"], at["end"]) for at in disk["extents"]), CHUNK))
        return disk["finding"], chunks


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    folder = copied.create(tmp_path_factory.mktemp("twice") / "data")
    built = Twice(folder, (folder.copy(CONTENTS), folder.copy(LATER)))
    assert [layer.form for layer in built.layers] == ["raw", "qcow2"]
    return built


@pytest.fixture
def twice(both: Twice, tmp_path: Path) -> Twice:
    return both.duplicate(tmp_path / "data")


EQUAL = ("equal", list[int]())


def test_each_image_equals_its_run(both: Twice) -> None:
    assert both.findings() == [EQUAL, EQUAL]
    disk, _ = json.loads(both.folder.verify(both.images[1], "--json").stdout)["disks"]
    assert disk["root"] == disk["content_root"] == disk["journal_root"] == disk["sealed_root"]
    assert disk["path"] == str(both.layers[QCOW2].data(0))
    assert disk["read"] == 3 * CHUNK  # holes below and what was zeroed are not read


def in_qcow2(path: Path, chunk: int) -> int:
    """Where in a qcow2 file the bytes of a chunk lie that it has itself."""
    mapped = json.loads(run("qemu-img", "map", "--output=json", path))
    (found,) = [at for at in mapped if at["start"] <= chunk * CHUNK < at["start"] + at["length"]]
    assert found["depth"] == 0
    return int(found["offset"] + chunk * CHUNK - found["start"])


def in_raw(_: Path, chunk: int) -> int:
    return chunk * CHUNK


@pytest.mark.parametrize(
    ("layer", "place", "chunk", "first", "second"),
    [
        (QCOW2, in_qcow2, 0, EQUAL, ("data damaged", [0])),
        (QCOW2, in_qcow2, 2, EQUAL, ("data damaged", [2])),
        (RAW, in_raw, 0, ("data damaged", [0]), EQUAL),
        (RAW, in_raw, 4, ("data damaged", [4]), EQUAL),  # zeroed in the layer above
        (RAW, in_raw, 5, ("data damaged", [5]), ("data damaged", [5])),
        (RAW, in_raw, 3, ("data damaged", [3]), ("data damaged", [3])),  # a hole in both
    ],
)
def test_a_byte_that_changed_differs_in_the_images_that_read_it_and_in_no_other(
    twice: Twice,
    layer: int,
    place: Callable[[Path, int], int],
    chunk: int,
    first: tuple[str, list[int]],
    second: tuple[str, list[int]],
) -> None:
    data = twice.layers[layer].data(0)
    damage(data, place(data, chunk) + 77)
    assert twice.findings() == [first, second]


def broken_journal(chunks: list[int]) -> tuple[str, list[int]]:
    return "journal damaged", chunks


@pytest.mark.parametrize(
    ("layer", "harm", "first", "second"),
    [
        (QCOW2, lambda path: damage(path, 2 * 32), EQUAL, broken_journal([2])),
        (QCOW2, lambda path: cut(path, 33), EQUAL, broken_journal([2, 4])),
        (RAW, lambda path: damage(path, 0), broken_journal([0]), EQUAL),
        (RAW, lambda path: damage(path, 5 * 32), broken_journal([5]), broken_journal([5])),
        (RAW, lambda path: cut(path, 0), broken_journal([0, 1, 2, 3, 4, 5]), broken_journal([1, 3, 5])),
    ],
    ids=["above", "above, cut off", "below, hidden", "below, seen through", "below, empty"],
)
def test_a_damaged_journal_matters_where_it_is_read(
    twice: Twice,
    layer: int,
    harm: Callable[[Path], None],
    first: tuple[str, list[int]],
    second: tuple[str, list[int]],
) -> None:
    harm(twice.layers[layer].journal(0))
    assert twice.findings() == [first, second]


def test_a_volume_below_that_is_cut_off_differs_where_it_is_seen(twice: Twice) -> None:
    cut(twice.layers[RAW].data(0), CHUNK)
    assert twice.findings() == [("data damaged", [4, 5]), ("data damaged", [5])]


def test_a_damaged_qcow2_file_is_told_with_its_name(twice: Twice) -> None:
    data = twice.layers[QCOW2].data(0)
    damage(data, 40, 8)  # the place of its table of tables
    result = twice.folder.verify(twice.images[1])
    assert (result.exit_code, str(data) in result.stderr) == (1, True)
    assert twice.finding(twice.images[0]) == EQUAL


def test_a_run_that_writes_above_and_a_machine_that_reads_disturb_nobody(twice: Twice) -> None:
    volumes = [spec(number, content) for number, content in enumerate(LATER)]
    twice.folder.driver.create_replica(twice.folder.job, volumes, 3, "r-3")
    assert len(twice.layers) == 3
    with in_use(twice.folder.driver.image(twice.images[1]).disks[0].path):
        assert twice.findings() == [EQUAL, EQUAL]


def test_digests_of_a_later_run_are_those_of_its_whole_content(twice: Twice, tmp_path: Path) -> None:
    other, digests = tmp_path / "other.img", tmp_path / "digests"
    other.write_bytes(LATER[0])
    old, new = twice.images
    assert twice.folder.verify(new, "--against", f"0={other}").exit_code == 0
    assert twice.folder.verify(old, "--against", f"0={other}").exit_code == 5
    assert twice.folder.verify(new, "--digests", str(digests)).exit_code == 0


def steps(twice: Twice) -> Iterator[str]:
    """Of merging the two layers, when the older image has gone."""
    folder, (lower, upper) = twice.folder, twice.layers
    images = Images(folder.data / "images")
    overlays = trimming.overlays_on(upper, images, folder.job)
    return merging.merge(folder.driver.replica_path(folder.job), lower, upper, overlays)


def test_merged_layers_are_equal_wherever_the_merge_was_cut_off(both: Twice, tmp_path: Path) -> None:
    old, new = both.images
    for done in count():
        twice = both.duplicate(tmp_path / str(done))
        twice.folder.driver.delete_image(old)
        whole = len(list(islice(steps(twice), done))) < done
        assert twice.finding(new) == EQUAL
        assert len(twice.layers) == 1 or done == 0
        if whole:
            break
    assert done > 10


def test_a_merge_that_cannot_be_finished_is_told(twice: Twice) -> None:
    old, new = twice.images
    twice.folder.driver.delete_image(old)
    list(islice(steps(twice), 2))
    with in_use(twice.folder.driver.image(new).disks[0].path):
        result = twice.folder.verify(new)
    assert (result.exit_code, "end the machine" in result.stderr) == (1, True)
    assert twice.finding(new) == EQUAL


def test_images_that_are_kept_no_longer_leave_the_others_equal(twice: Twice) -> None:
    _, new = twice.images
    trimmed = twice.folder.driver.trim(twice.folder.job, 1)
    assert (trimmed.deleted, trimmed.postponed) == ((twice.images[0],), "")
    assert [layer.form for layer in twice.layers] == ["raw"]
    assert twice.finding(new) == EQUAL
    damage(twice.layers[0].data(0), 2 * CHUNK)
    assert twice.finding(new) == ("data damaged", [2])
