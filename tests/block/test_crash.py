"""The durability rule: cut the power before every single operation, and look at what is left."""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.block.fence import Fence
from rehost.block.journal import Journal
from rehost.block.layer import Layer
from rehost.block.memory import MemoryDevice
from rehost.block.volume import ChunkWrite, PatchWrite, Volume, VolumeShape, Write, ZeroWrite
from rehost.block.writer import ReplicaWriter
from rehost.core import digest
from rehost.core.errors import VolumeError
from tests.block.volatile import Power, PowerCut, VolatileDevice

CHUNK = 2048
ALWAYS = 1 << 30
SHAPES = (VolumeShape(0, 5 * CHUNK + 512, CHUNK), VolumeShape(1, 2 * CHUNK, CHUNK))


def content(shape: VolumeShape, chunk: int, version: str) -> bytes:
    return (f"{version} of {chunk} ".encode() * CHUNK)[: shape.length(chunk)]


def write(volume: int, chunk: int, version: str) -> ChunkWrite:
    data = content(SHAPES[volume], chunk, version)
    return ChunkWrite(volume, chunk, digest.of(data), data)


def patch(volume: int, chunk: int, *versions: str) -> PatchWrite:
    """Every fourth 512 bytes become those of the last version, after they were those of the ones before."""
    shape, places = SHAPES[volume], (0, 1024)
    whole = before = bytearray(content(shape, chunk, versions[0]))
    for version in versions[1:]:
        before = bytearray(whole)
        for place in places:
            whole[place : place + 512] = content(shape, chunk, version)[place : place + 512]
    pieces = tuple((place, bytes(whole[place : place + 512])) for place in places)
    return PatchWrite(volume, chunk, digest.of(whole), digest.of(before), pieces)


# A baseline, then chunks that change, change back, are zeroed, written twice in one batch, zeroed short, and
# patched, on from what a patch left, and back.
HISTORY: Sequence[Sequence[Write]] = (
    [write(0, 0, "A"), write(0, 1, "A"), write(1, 0, "A")],
    [write(0, 5, "A"), ZeroWrite(0, 2, 3), ZeroWrite(1, 1, 1)],
    [write(0, 0, "B"), write(0, 3, "B")],
    [write(0, 0, "A"), write(1, 0, "B"), write(1, 0, "A")],
    [ZeroWrite(0, 4, 2), write(0, 1, "B"), ZeroWrite(0, 1, 1), write(0, 2, "A")],
    [write(0, 0, "B"), write(0, 0, "A")],
    [patch(0, 0, "A", "B"), write(0, 3, "A")],
    [patch(0, 0, "A", "B", "C"), patch(1, 0, "A", "B")],
    [patch(0, 0, "A", "B", "C", "A")],
)


class Machine:
    """A replica on disks that hang on one power supply; `below`: its layer is on one that has all chunks."""

    def __init__(self, folder: Path, power: Power, below: bool) -> None:
        Fence(folder).create()
        self.power = power
        self.below = [journal_below(shape) if below else None for shape in SHAPES]
        self.disks = [(VolatileDevice(s.size, power), VolatileDevice(s.journal_size, power)) for s in SHAPES]
        if below:
            for shape, (disk, _) in zip(SHAPES, self.disks, strict=True):
                disk.fill(b"".join(content(shape, chunk, "below") for chunk in range(shape.chunks)))
        journals = [Journal(j, lower) for (_, j), lower in zip(self.disks, self.below, strict=True)]
        volumes = [Volume(s, journal) for s, journal in zip(SHAPES, journals, strict=True)]
        devices = {s.volume: d for s, (d, _) in zip(SHAPES, self.disks, strict=True)}
        layer = Layer(folder / "layers" / "000000", lowest=True)
        layer.path.mkdir(parents=True, exist_ok=True)
        self.replica = ReplicaWriter(folder, layer, volumes, ExitStack(), devices)
        self.acknowledged = 0

    def live(self) -> bool:
        """Go through the history; False if the power went before its end."""
        try:
            for batch in HISTORY:
                self.replica.commit(0, batch)
                self.acknowledged += 1
        except PowerCut:
            return False
        return True

    def after_cut(self, choose: random.Random) -> dict[tuple[int, int], tuple[bytes, bytes]]:
        """Journal entry and digest of the data, of each chunk."""
        found = {}
        for shape, (disk, journal), below in zip(SHAPES, self.disks, self.below, strict=True):
            data, entries = disk.after_cut(choose), Journal(journal.after_cut(choose), below)
            for chunk in range(shape.chunks):
                buffer = memoryview(bytearray(shape.length(chunk)))
                data.read_into(chunk * CHUNK, buffer)
                found[shape.volume, chunk] = (entries.read(chunk, 1), digest.of(buffer))
        return found


def journal_below(shape: VolumeShape) -> Journal:
    journal = Journal(MemoryDevice(shape.journal_size))
    journal.put(0, b"".join(digest.of(content(shape, chunk, "below")) for chunk in range(shape.chunks)))
    return journal


def expected(batches: int, below: bool) -> dict[tuple[int, int], bytes]:
    """The digests once so many batches are through."""
    found = {}
    if below:
        found = {(s.volume, c): digest.of(content(s, c, "below")) for s in SHAPES for c in range(s.chunks)}
    for batch in HISTORY[:batches]:
        for one in batch:
            for chunk in range(one.first, one.first + one.count):
                length = SHAPES[one.volume].length(chunk)
                found[one.volume, chunk] = (
                    digest.of_zeroes(length) if isinstance(one, ZeroWrite) else one.digest
                )
    return found


def operations(folder: Path, below: bool) -> int:
    machine = Machine(folder, Power(ALWAYS), below)
    assert machine.live()
    return machine.power.used


@pytest.mark.parametrize("below", [False, True])
def test_the_whole_history_leaves_what_was_written_last(tmp_path: Path, below: bool) -> None:
    machine = Machine(tmp_path, Power(ALWAYS), below)
    assert machine.live()
    left = machine.after_cut(random.Random(0))
    assert left == {place: (found, found) for place, found in expected(len(HISTORY), below).items()}


@pytest.mark.parametrize("below", [False, True])
def test_no_power_cut_makes_the_journal_lie_or_forget(tmp_path: Path, below: bool) -> None:
    """Entries are digests of what is there, or ABSENT; what was acknowledged and not touched since stays."""
    count = operations(tmp_path, below)
    assert count > 50
    for last in range(count):
        for seed in range(20):
            machine = Machine(tmp_path, Power(last), below)
            assert not machine.live()
            left = machine.after_cut(random.Random(seed))
            for place, (entry, found) in left.items():
                assert entry in (found, digest.ABSENT), f"cut before {last}, seed {seed}: {place} lies"
            durable, touched = expected(machine.acknowledged, below), places(HISTORY[machine.acknowledged])
            for place, found in durable.items():
                assert place in touched or left[place] == (found, found), f"cut before {last}: {place} lost"


def places(batch: Sequence[Write]) -> set[tuple[int, int]]:
    return {(one.volume, chunk) for one in batch for chunk in range(one.first, one.first + one.count)}


@pytest.mark.parametrize("last", [0, 7, 20, 33])
def test_a_replica_that_broke_writes_nothing_more(tmp_path: Path, last: int) -> None:
    """After a failed flush the kernel forgets pages and reports nothing again: only a new start is sound."""

    machine = Machine(tmp_path, Power(last, lambda: VolumeError("the disk broke")), below=False)
    with pytest.raises(VolumeError):
        for batch in HISTORY:
            machine.replica.commit(0, batch)
    machine.power.last = ALWAYS
    assert machine.replica.broken
    for attempt in (
        lambda: machine.replica.commit(0, HISTORY[0]),
        lambda: machine.replica.digests(0, 0, 1),
        machine.replica.roots,
    ):
        with pytest.raises(VolumeError):
            attempt()
    assert machine.power.used == last
