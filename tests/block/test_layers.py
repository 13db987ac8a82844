"""Layers of a replica: how they begin, what their journals cost, and what shines through from below."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from rehost.block.journal import FORGOTTEN, SPAN
from rehost.block.layer import Layer, chain
from rehost.block.memory import MemoryDevice
from rehost.block.replica import create, extend, open_replica
from rehost.block.volume import ChunkWrite, VolumeShape, Write, ZeroWrite
from rehost.block.writer import open_writer
from rehost.core import digest
from rehost.core.errors import ReplicaIncompleteError, VolumeError, VolumeFullError

CHUNK = 512
CHUNKS = 40 * SPAN + 7
SHAPE = VolumeShape(0, CHUNKS * CHUNK, CHUNK)


def empty_volume(folder: Path, below: Layer, shape: VolumeShape) -> None:
    """The data does not matter here."""
    (folder / "disk-0.qcow2").touch()


def write(path: Path, generation: int, writes: Sequence[Write]) -> None:
    devices = nullcontext({0: MemoryDevice(SHAPE.size)})
    with open_writer(path, lambda layer, shapes: devices) as replica:
        replica.raise_generation(generation)
        replica.commit(generation, writes)


def chunk(number: int, content: bytes) -> ChunkWrite:
    whole = content.ljust(CHUNK, b".")
    return ChunkWrite(0, number, digest.of(whole), whole)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed run, all of zeroes but for one chunk, and a layer on it."""
    folder = tmp_path / "job"
    create(folder, [SHAPE])
    write(folder, 1, [ZeroWrite(0, 0, CHUNKS), chunk(3, b"first")])
    with open_replica(folder) as replica:
        replica.seal("r-1", replica.roots())
    extend(folder, 2, empty_volume)
    return folder


def root_of(changed: dict[int, bytes]) -> bytes:
    digests = [digest.of_zeroes(CHUNK)] * CHUNKS
    for number, content in changed.items():
        digests[number] = digest.of(content.ljust(CHUNK, b"."))
    return digest.root(digests, SHAPE.size)


def test_a_new_layer_shows_what_is_below_and_takes_no_room(folder: Path) -> None:
    lowest, top = chain(folder)
    assert (lowest.form, top.form, top.path.name) == ("raw", "qcow2", "000002")
    assert top.journal(0).stat().st_size == lowest.journal(0).stat().st_size
    assert top.journal(0).stat().st_blocks == 0
    with open_replica(folder) as replica:
        assert not replica.fresh(0)
        assert replica.sealed is None
        assert replica.digests(0, 3, 1) == digest.of(b"first".ljust(CHUNK, b"."))
        assert replica.roots() == (root_of({3: b"first"}),)


def test_a_root_costs_the_spans_that_the_layer_touched(folder: Path) -> None:
    changed = {3: b"other", 17 * SPAN: b"second", CHUNKS - 1: b"last"}
    write(folder, 2, [chunk(*each) for each in changed.items()])
    with open_replica(folder) as replica:
        assert list(replica.volume(0).journal.spans()) == [0, 17, 40]
        assert replica.roots() == (root_of(changed),)
        replica.seal("r-2", (root_of(changed),))
    assert chain(folder)[-1].journal(0).stat().st_blocks * 512 <= 3 * 4096
    extend(folder, 3, empty_volume)
    write(folder, 3, [chunk(4, b"third"), ZeroWrite(0, 17 * SPAN, 1)])
    with open_replica(folder) as replica:
        assert replica.roots() == (root_of({3: b"other", 4: b"third", CHUNKS - 1: b"last"}),)


def test_what_is_forgotten_does_not_shine_through(folder: Path) -> None:
    top = chain(folder)[-1]
    with top.journal(0).open("r+b") as journal:
        journal.seek(3 * digest.SIZE)
        journal.write(FORGOTTEN)
    with open_replica(folder) as replica:
        assert replica.digests(0, 2, 3) == digest.of_zeroes(CHUNK) + digest.ABSENT + digest.of_zeroes(CHUNK)
        with pytest.raises(ReplicaIncompleteError):
            replica.roots()
    write(folder, 2, [chunk(3, b"again")])
    with open_replica(folder) as replica:
        assert replica.roots() == (root_of({3: b"again"}),)


def test_a_layer_that_was_cut_off_in_its_making_is_made_anew(folder: Path) -> None:
    top = chain(folder)[-1]
    half = top.path.rename(folder / "layers" / ".000002.new")
    (half / "disk-0.digests").unlink()
    assert len(chain(folder)) == 1
    extend(folder, 2, empty_volume)
    assert chain(folder)[-1] == top
    with open_replica(folder) as replica:
        assert replica.roots() == (root_of({3: b"first"}),)


@pytest.mark.parametrize(
    ("error", "kind"), [(OSError(28, os.strerror(28)), VolumeFullError), (OSError(5, "broken"), VolumeError)]
)
def test_a_layer_that_cannot_be_made_leaves_nothing(
    folder: Path, error: OSError, kind: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error

    failing: Callable[[Path, Layer, VolumeShape], None] = fail
    with pytest.raises(kind):
        extend(folder, 3, failing)
    assert sorted(path.name for path in (folder / "layers").iterdir()) == ["000000", "000002"]


def test_a_writer_of_an_older_layer_sees_that_there_is_a_newer_one(folder: Path) -> None:
    devices = nullcontext({0: MemoryDevice(SHAPE.size)})
    with open_writer(folder, lambda layer, shapes: devices) as replica:
        assert not replica.outdated
        with open_replica(folder) as owner:
            owner.seal("r-2", owner.roots())
        extend(folder, 3, empty_volume)
        assert replica.outdated


def test_volumes_of_later_layers_are_not_taken_for_files(folder: Path) -> None:
    with pytest.raises(VolumeError, match="needs QEMU"):
        open_writer(folder)


def test_nodes_that_are_gone_are_said_to_be(folder: Path) -> None:
    chain(folder)[0].nodes(0).unlink()
    with pytest.raises(VolumeError, match="is not whole"):
        open_replica(folder)
