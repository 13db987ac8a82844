"""`rehost verify` on a data folder with an image: whole, damaged in each part, and against other disks."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rehost.block.layer import Layer
from rehost.cli.app import app
from tests.cli import copied
from tests.cli.copied import CONTENTS, cut, damage
from tests.compute.replicas import CHUNK
from tests.loopdisks import LoopDisks, run


class Folder:
    """A data folder with one image."""

    def __init__(self, data: Path) -> None:
        self._folder = copied.create(data)
        self.data, self.driver = data, self._folder.driver
        self.image = self._folder.copy(CONTENTS)

    @property
    def layer(self) -> Layer:
        (only,) = self._folder.layers
        return only

    def verify(self, *words: str) -> Result:
        return self._folder.verify(self.image, *words)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


def test_an_image_that_is_whole_is_equal(folder: Folder) -> None:
    shown = folder.verify()
    assert shown.exit_code == 0
    assert shown.stdout.count("equal to what was copied") == 2
    disk, _ = json.loads(folder.verify("--json").stdout)["disks"]
    assert disk["root"] == disk["content_root"] == disk["journal_root"] == disk["sealed_root"]
    assert (disk["equal"], disk["finding"], disk["extents"]) == (True, "equal", [])
    assert disk["read"] == 3 * CHUNK  # holes are not read


def test_what_the_conversion_changed_is_told_and_no_difference(folder: Folder) -> None:
    overlay = folder.driver.image(folder.image).disks[0].path
    run("qemu-io", "-c", "write -P 7 0 65536", "-c", "write -z 524288 65536", overlay)
    disk, other = json.loads(folder.verify("--json").stdout)["disks"]
    assert (disk["equal"], disk["converted_bytes"], disk["converted_extents"]) == (True, 2 * 65536, 2)
    assert other["converted_bytes"] == 0
    assert "the conversion changed 128.0 KiB in 2 extents on purpose" in folder.verify().stdout


@pytest.mark.parametrize(
    ("harm", "extents"),
    [
        (lambda path: damage(path, 4 * CHUNK + 77), [(4 * CHUNK, 5 * CHUNK)]),
        (lambda path: damage(path, 2 * CHUNK), [(2 * CHUNK, 3 * CHUNK)]),  # in a hole
        (lambda path: damage(path, 4 * CHUNK - 1, 2), [(3 * CHUNK, 5 * CHUNK)]),
        (lambda path: cut(path, 5 * CHUNK + 1), [(5 * CHUNK, 6 * CHUNK)]),
        (lambda path: cut(path, 0), [(0, CHUNK), (4 * CHUNK, 6 * CHUNK)]),
    ],
    ids=["a byte", "in a hole", "two chunks", "cut off", "empty"],
)
def test_damaged_data_is_found_and_its_place_named(
    folder: Folder, harm: Callable[[Path], None], extents: list[tuple[int, int]]
) -> None:
    harm(folder.layer.data(0))
    result = folder.verify("--json")
    assert result.exit_code == 5
    disk, other = json.loads(result.stdout)["disks"]
    assert (disk["finding"], disk["equal"], other["equal"]) == ("data damaged", False, True)
    assert [(extent["start"], extent["end"]) for extent in disk["extents"]] == extents
    assert disk["extents"][-1]["partitions"] == ["0_0 /dev/sda1 ext4"]
    assert "copy the source anew" in folder.verify().stdout


def test_only_the_first_extents_are_named_and_all_are_counted(folder: Folder) -> None:
    for chunk in (0, 2, 4):
        damage(folder.layer.data(0), chunk * CHUNK + 5)
    shown = folder.verify("--extents", "1").stdout
    assert f"(3 extents, {3 * CHUNK} bytes of chunks)" in shown
    assert f"bytes 0 to {CHUNK}" in shown
    assert f"bytes {2 * CHUNK}" not in shown
    assert "and 2 more" in shown


@pytest.mark.parametrize(
    "harm", [lambda path: damage(path, 33), lambda path: cut(path, 40)], ids=["bit", "cut"]
)
def test_a_damaged_journal_is_no_damage_of_the_data(folder: Folder, harm: Callable[[Path], None]) -> None:
    harm(folder.layer.journal(0))
    result = folder.verify("--json")
    assert result.exit_code == 5
    disk, _ = json.loads(result.stdout)["disks"]
    assert disk["finding"] == "journal damaged"
    assert disk["content_root"] == disk["root"] != disk["journal_root"]
    assert "equal to what was copied, but the digests" in folder.verify().stdout


def test_damage_of_both_is_said_to_be_both(folder: Folder) -> None:
    damage(folder.layer.journal(0), 33)
    damage(folder.layer.data(0), 5 * CHUNK)
    disk, _ = json.loads(folder.verify("--json").stdout)["disks"]
    assert disk["finding"] == "data and journal damaged"


def test_the_record_of_the_run_outweighs_the_seal(folder: Folder) -> None:
    seal = folder.layer.path / "sealed.json"
    content = json.loads(seal.read_text())
    content["roots"][0] = "ab" * 32
    seal.write_text(json.dumps(content))
    result = folder.verify()
    assert result.exit_code == 5
    assert "the seal does not have the root that the source had" in result.stdout
    assert "DAMAGED" not in result.stdout
    seal.write_text("nothing")
    result = folder.verify()
    assert (result.exit_code, "cannot be read" in result.stderr) == (1, True)


def test_what_is_not_there_is_not_found_and_wrong_words_are_explained(folder: Folder) -> None:
    result = CliRunner().invoke(app, ["verify", "m-9", "--data", str(folder.data)])
    assert (result.exit_code, "m-9" in result.stderr) == (3, True)
    for words, says in (
        (("--against", "/no/disk"), "/no/disk cannot be opened"),
        (("--against", "7=/dev/null"), "its disks are 0, 1"),
        (("--against", "what"), "write it like 0=/dev/sda"),
        (("--against", "/dev/null", "--digests", "x"), "give one of them"),
    ):
        result = folder.verify(*words)
        assert result.exit_code in (2, 3)
        assert says in result.stderr


def test_an_overlay_that_is_cut_off_is_told(folder: Folder) -> None:
    overlay = folder.driver.image(folder.image).disks[0].path
    cut(overlay, 10)
    result = folder.verify()
    assert (result.exit_code, f"{overlay} is not qcow2" in result.stderr) == (1, True)


def test_an_unsealed_replica_is_not_verified(folder: Folder) -> None:
    (folder.layer.path / "sealed.json").unlink()
    result = folder.verify()
    assert (result.exit_code, "wait until its job has finished" in result.stderr) == (1, True)


def test_a_file_in_the_place_of_a_disk(folder: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(CONTENTS[0])
    assert folder.verify("--against", f"0={other}").exit_code == 0
    damage(other, 5 * CHUNK)
    result = folder.verify("--against", f"0={other}", "--json")
    (disk,) = json.loads(result.stdout)["disks"]
    assert (result.exit_code, disk["extents"][0]["start"]) == (5, 5 * CHUNK)
    other.write_bytes(CONTENTS[0] + b"more")
    result = folder.verify("--against", str(other))
    assert (result.exit_code, "has 4 bytes behind" in result.stdout) == (0, True)


def test_an_attached_disk(folder: Folder, disks: LoopDisks, tmp_path: Path) -> None:
    image = tmp_path / "attached.img"
    image.write_bytes(CONTENTS[0])
    device = disks.attach(image)
    shown = folder.verify("--against", f"0={device}")
    assert (shown.exit_code, f"disk 0, {device}: equal" in shown.stdout) == (0, True)


def test_a_digest_file_is_not_written_from_a_damaged_journal(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "digests"
    assert folder.verify("--digests", str(file)).exit_code == 0
    file.unlink()
    damage(folder.layer.journal(0), 33)
    result = folder.verify("--digests", str(file))
    assert (result.exit_code, file.exists()) == (1, False)
    assert f"rehost verify {folder.image}" in result.stderr
