"""Chains of layers on real files: merging, killed at every point, and what is in use."""

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rehost.block.journal import Journal, open_journal
from rehost.block.layer import Layer, chain
from rehost.block.replica import shapes_of
from rehost.block.volume import Volume
from rehost.compute.driver import Trimmed
from rehost.compute.local import LocalDriver, merging
from rehost.core import digest
from tests.compute.inuse import in_use
from tests.compute.replicas import CHUNK, sealed_run, spec

SIZES = (5 * CHUNK + 512, 8 * CHUNK)
MARK = b"\xee" * 4096  # what each image's conversion writes at the beginning of its first disk


def contents_of(runs: int) -> list[list[bytes]]:
    """Each run changes some chunks, zeroes some, and brings an old one back."""
    choose = random.Random(runs)
    disks = [bytearray(b"\1" * CHUNK + bytes(size - CHUNK)) for size in SIZES]
    found = []
    for _ in range(runs):
        for disk, size in zip(disks, SIZES, strict=True):
            for chunk in choose.sample(range(size // CHUNK), 3):
                disk[chunk * CHUNK : (chunk + 1) * CHUNK] = bytes([choose.choice([0, 0, 1, 7])]) * CHUNK
            disk[-512:] = choose.randbytes(512)
        found.append([bytes(disk) for disk in disks])
    return found


class Chain:
    """A job with a run, a layer and an image for each content; image and run have the same number."""

    def __init__(self, data: Path, contents: Sequence[Sequence[bytes]]) -> None:
        self.data = data
        self.contents = contents
        self.driver = LocalDriver(data)
        self.replica = self.driver.replica_path("j-1")

    def build(self) -> None:
        for number, content in enumerate(self.contents):
            sealed_run(self.driver, "j-1", f"r-{number}", number + 1, *content)
            overlay = self.driver.create_image(f"m-{number}", "j-1", f"image {number}")[0]
            command = f"write -P 0xee 0 {len(MARK)}"
            subprocess.run(
                ["qemu-io", "-f", "qcow2", "-c", command, overlay], check=True, capture_output=True
            )
            self.driver.finish_image(f"m-{number}")

    def copy(self, data: Path) -> "Chain":
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.data, data)
        return Chain(data, self.contents)

    def check_images(self) -> list[str]:
        """Each image reads as its run's content under its own conversion; their ids."""
        for image in self.driver.images():
            first, second = self.contents[int(image.run.removeprefix("r-"))]
            for disk, want in zip(image.disks, (MARK + first[len(MARK) :], second), strict=True):
                flat = self.data / "flat"
                subprocess.run(["qemu-img", "convert", "-O", "raw", disk.path, flat], check=True)
                assert flat.read_bytes() == want, f"{image.id}, disk {disk.volume}"
                flat.unlink()
        return [image.id for image in self.driver.images()]

    def check_layers(self) -> list[str]:
        """Data, journals, nodes and roots of each layer are those of its run; the runs, lowest first."""
        layers = chain(self.replica)
        for place, layer in enumerate(layers):
            assert layer.sealed is not None
            content = self.contents[int(layer.sealed.run.removeprefix("r-"))]
            for shape, want, root in zip(shapes_of(self.replica), content, layer.sealed.roots, strict=True):
                digests = [digest.of(want[start : start + CHUNK]) for start in range(0, shape.size, CHUNK)]
                with journal_of(layers[: place + 1], shape.volume, shape.chunks) as journal:
                    assert journal.read(0, shape.chunks) == b"".join(digests)
                    nodes = Volume(shape, journal).nodes()
                assert nodes == layer.nodes(shape.volume).read_bytes()
                assert root == digest.root(digests, shape.size)
        return [layer.sealed.run for layer in layers if layer.sealed]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.replica)) for path in self.replica.rglob("*"))


@contextlib.contextmanager
def journal_of(layers: Sequence[Layer], volume: int, chunks: int) -> Iterator[Journal]:
    with contextlib.ExitStack() as opened:
        journal = None
        for layer in layers:
            journal = open_journal(layer.journal(volume), chunks, journal)
            opened.callback(journal.close)
        assert journal is not None
        yield journal


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    built = Chain(tmp_path_factory.mktemp("chain") / "data", contents_of(5))
    built.build()
    assert built.check_images() == ["m-0", "m-1", "m-2", "m-3", "m-4"]
    assert len(built.check_layers()) == 5
    return built


def trim_and_die(data: Path, keep: int, after: int) -> None:
    """In a process of its own: killed after so many steps of merging; ends with 0 if there are less."""
    whole, steps = merging.merge, itertools.count(1)

    def counted(*arguments: object) -> Iterator[str]:
        for step in whole(*arguments):  # type: ignore[arg-type]
            if next(steps) == after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield step

    merging.merge = counted
    LocalDriver(data).trim("j-1", keep)


def killed(chain: Chain, keep: int, after: int) -> bool:
    process = multiprocessing.get_context("spawn").Process(
        target=trim_and_die, args=(chain.data, keep, after)
    )
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize(
    ("deleted", "left"),
    [
        pytest.param("m-0", [1, 2, 3, 4], id="qcow2 into raw"),
        pytest.param("m-2", [0, 1, 3, 4], id="qcow2 into qcow2", marks=pytest.mark.lab),
    ],
)
def test_killed_after_any_step_it_goes_on_and_every_image_reads_as_ever(
    five: Chain, tmp_path: Path, deleted: str, left: list[int]
) -> None:
    """Proves that a merge can be repeated from wherever it was cut off, and disturbs no image meanwhile."""
    images, runs = [f"m-{number}" for number in left], [f"r-{number}" for number in left]
    five = five.copy(tmp_path / "five")
    five.driver.delete_image(deleted)
    whole = five.copy(tmp_path / "whole")
    assert whole.driver.trim("j-1", 5) == Trimmed(())
    for after in itertools.count(1):
        cut = five.copy(tmp_path / "cut")
        if not killed(cut, 5, after):
            break
        assert cut.check_images() == images
        assert cut.driver.trim("j-1", 5) == Trimmed(())
        assert cut.check_images() == images
        assert cut.check_layers() == runs
        assert cut.files() == whole.files()
    assert after == 14 + 1  # 3 steps for each disk, 4 overlays, and 4 more


def test_a_run_goes_on_above_a_merge_that_was_cut_off(five: Chain, tmp_path: Path) -> None:
    """The next run builds on what is there, and the merge is finished after it."""
    cut = five.copy(tmp_path / "cut")
    assert killed(cut, 4, 9)  # some of the overlays are on the lower layer already
    sealed_run(cut.driver, "j-1", "r-3", 9, *cut.contents[3])
    assert cut.check_images() == ["m-1", "m-2", "m-3", "m-4"]
    assert cut.driver.trim("j-1", 4) == Trimmed(())
    assert cut.check_images() == ["m-1", "m-2", "m-3", "m-4"]
    assert cut.check_layers() == ["r-1", "r-2", "r-3", "r-4", "r-3"]


def test_an_image_in_use_stays_and_an_older_one_of_the_others_goes(five: Chain, tmp_path: Path) -> None:
    five = five.copy(tmp_path / "five")
    with in_use(five.driver.image("m-0").disks[1].path):
        trimmed = five.driver.trim("j-1", 3)
        assert trimmed.deleted == ("m-1", "m-2")
    assert five.check_images() == ["m-0", "m-3", "m-4"]
    assert five.driver.trim("j-1", 3) == Trimmed(())
    assert five.check_layers() == ["r-0", "r-3", "r-4"]


def test_the_newest_images_stay_whatever_their_dates_say(five: Chain, tmp_path: Path) -> None:
    """The clock went back an hour with every run: an image's age is how low its layer lies."""
    five = five.copy(tmp_path / "five")
    for hours, image in enumerate(five.driver.images()):
        record = json.loads((image.folder / "image.json").read_text())
        record["created"] -= hours * 3600
        (image.folder / "image.json").write_text(json.dumps(record))
    assert five.driver.trim("j-1", 2) == Trimmed(("m-0", "m-1", "m-2"))
    assert sorted(five.check_images()) == ["m-3", "m-4"]
    assert five.check_layers() == ["r-3", "r-4"]


def test_a_merge_waits_for_whoever_reads_the_layers(five: Chain, tmp_path: Path) -> None:
    five = five.copy(tmp_path / "five")
    with in_use(five.driver.image("m-4").disks[0].path):
        trimmed = five.driver.trim("j-1", 4)
        assert trimmed.deleted == ("m-0",)
        assert "is in use" not in trimmed.postponed
        assert "lock" in trimmed.postponed
        assert five.check_images() == ["m-1", "m-2", "m-3", "m-4"]
    assert five.driver.trim("j-1", 4) == Trimmed(())
    assert five.check_layers() == ["r-1", "r-2", "r-3", "r-4"]


def test_of_a_discarded_replica_only_what_images_need_is_left(five: Chain, tmp_path: Path) -> None:
    five = five.copy(tmp_path / "five")
    five.driver.create_replica("j-1", [spec(*disk) for disk in enumerate(five.contents[0])], 6, "r-5")
    five.driver.delete_image("m-2")
    assert len(chain(five.replica)) == 6
    five.driver.discard_replica("j-1")
    assert five.check_layers() == ["r-0", "r-1", "r-3", "r-4"]
    five.driver.delete_image("m-4")
    five.driver.delete_image("m-0")
    assert five.check_images() == ["m-1", "m-3"]
    assert five.check_layers() == ["r-1", "r-3"]
    for image in ("m-1", "m-3"):
        five.driver.delete_image(image)
    assert not five.replica.exists()
