"""Replicas in real folders: creation, fencing between processes, seals."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehost.block.device import Device
from rehost.block.filters import Filter, Operation
from rehost.block.replica import create
from rehost.block.volume import ChunkWrite, VolumeShape, ZeroWrite
from rehost.block.writer import open_writer
from rehost.core import digest
from rehost.core.errors import (
    InvalidValueError,
    ReplicaIncompleteError,
    TicketStaleError,
    VolumeError,
    VolumeFullError,
)
from tests.loopdisks import LoopDisks, run

CHUNK = 4096
LOWEST = "layers/000000"
SHAPES = [VolumeShape(0, 10 * CHUNK + 512, CHUNK), VolumeShape(3, 4 * CHUNK, CHUNK)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "replicas" / "job", SHAPES)
    return tmp_path / "replicas" / "job"


def write(volume: int, chunk: int, content: bytes) -> ChunkWrite:
    return ChunkWrite(volume, chunk, digest.of(content), content)


FILLED = [ZeroWrite(0, 0, 10), write(0, 10, b"t" * 512), ZeroWrite(3, 0, 3), write(3, 3, b"x" * CHUNK)]
ROOTS = (
    digest.root([digest.of_zeroes(CHUNK)] * 10 + [digest.of(b"t" * 512)], SHAPES[0].size),
    digest.root([digest.of_zeroes(CHUNK)] * 3 + [digest.of(b"x" * CHUNK)], SHAPES[1].size),
)


def test_a_new_replica_is_sparse_fresh_and_of_generation_0(folder: Path) -> None:
    assert (folder / LOWEST / "disk-0.raw").stat().st_size == SHAPES[0].size
    assert (folder / LOWEST / "disk-0.raw").stat().st_blocks == 0
    with open_writer(folder) as replica:
        assert replica.shapes == tuple(SHAPES)
        assert replica.generation == 0
        assert replica.sealed is None
        assert replica.fresh(0)
        assert replica.digests(0, 0, 11) == digest.ABSENT * 11


def test_creating_again_keeps_what_is_there(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.commit(0, FILLED)
    create(folder, SHAPES)
    with open_writer(folder) as replica:
        assert replica.roots() == ROOTS
        assert not replica.fresh(3)


def test_creating_after_a_crash_in_the_middle_makes_it_whole(folder: Path) -> None:
    """replica.json is written last: without it nothing was promised."""
    (folder / "replica.json").unlink()
    half = (folder / LOWEST).rename(folder / "layers" / ".000000.new")
    (half / "disk-3.digests").unlink()
    (half / "disk-0.raw").write_bytes(b"part")
    create(folder, SHAPES)
    with open_writer(folder) as replica:
        assert replica.devices[0].size == SHAPES[0].size
        assert replica.fresh(3)


def test_other_disks_do_not_fit_a_replica(folder: Path) -> None:
    with pytest.raises(InvalidValueError, match="exists with other disks"):
        create(folder, SHAPES[:1])


def test_a_replica_on_a_full_file_system(disks: LoopDisks) -> None:
    mount = disks.make(2 << 20, "ext4", ("-q", "-m", "0")).mount
    assert mount is not None
    (mount / "ballast").write_bytes(
        bytes(os.statvfs(mount).f_bavail * os.statvfs(mount).f_bsize - (64 << 10))
    )
    with pytest.raises(VolumeFullError, match="No space left") as caught:
        create(mount / "job", [VolumeShape(0, 4096 * CHUNK, CHUNK)])
    assert "make room" in caught.value.advice


@pytest.mark.parametrize(
    "missing", ["replica.json", f"{LOWEST}/disk-0.raw", f"{LOWEST}/disk-3.digests", LOWEST]
)
def test_a_replica_with_a_part_missing_is_none(folder: Path, missing: str) -> None:
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(VolumeError):
        open_writer(folder)


def test_a_journal_of_another_length_is_refused(folder: Path) -> None:
    os.truncate(folder / LOWEST / "disk-0.digests", 32)
    with pytest.raises(VolumeError, match="11 chunks need 352"):
        open_writer(folder)


def test_data_and_digests_are_where_they_belong(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.commit(0, [write(0, 2, b"a" * CHUNK), write(3, 1, b"b" * CHUNK), write(0, 10, b"c" * 512)])
        replica.commit(0, [ZeroWrite(0, 2, 1)])
        assert replica.digests(0, 2, 1) == digest.of_zeroes(CHUNK)
        assert replica.digests(3, 0, 2) == digest.ABSENT + digest.of(b"b" * CHUNK)
    assert (folder / LOWEST / "disk-0.raw").read_bytes() == bytes(10 * CHUNK) + b"c" * 512
    assert (folder / LOWEST / "disk-3.raw").read_bytes() == bytes(CHUNK) + b"b" * CHUNK + bytes(2 * CHUNK)


def test_an_older_generation_is_fenced_off(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.raise_generation(2)
        replica.commit(2, FILLED)
        for wrong in (0, 1, 3):
            with pytest.raises(TicketStaleError, match=f"generation {wrong} may not write, it is 2's turn"):
                replica.commit(wrong, [ZeroWrite(3, 3, 1)])
        assert replica.roots() == ROOTS
        assert not replica.broken


def test_the_generation_only_rises_and_outlives_the_process(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.raise_generation(5)
        replica.raise_generation(5)
        with pytest.raises(InvalidValueError, match="generation 4 after 5"):
            replica.raise_generation(4)
    with open_writer(folder) as replica:
        assert replica.generation == 5


def test_an_incomplete_replica_has_no_roots_and_no_seal(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.commit(0, FILLED[:3])
        for attempt in (replica.roots, lambda: replica.seal("r-1", ROOTS)):
            with pytest.raises(ReplicaIncompleteError, match="volume 3 lacks chunks"):
                attempt()
        assert replica.sealed is None


def test_a_seal_needs_the_roots_that_the_source_has(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.commit(0, FILLED)
        with pytest.raises(ReplicaIncompleteError, match="is not what the source says"):
            replica.seal("r-1", (ROOTS[1], ROOTS[0]))
        assert replica.sealed is None


def test_a_sealed_layer_takes_nothing_until_it_is_reopened(folder: Path) -> None:
    with open_writer(folder) as replica:
        replica.raise_generation(1)
        replica.commit(1, FILLED)
        sealed = replica.seal("r-1", ROOTS)
        assert replica.seal("r-1", ROOTS) == replica.sealed == sealed
        assert (sealed.run, sealed.generation, sealed.roots) == ("r-1", 1, ROOTS)
        for generation in (1, 2):
            replica.raise_generation(generation)
            with pytest.raises(TicketStaleError, match="is sealed"):
                replica.commit(generation, FILLED)
        assert replica.sealed == sealed
        replica.layer.reopen()
        assert replica.sealed is None
        replica.commit(2, FILLED)


def test_a_discarded_replica_refuses_late_writers(folder: Path) -> None:
    with open_writer(folder) as replica:
        run("rm", "-r", folder)
        with pytest.raises(TicketStaleError, match="is gone"):
            replica.commit(0, FILLED)


def test_crossing_commits_of_one_chunk_leave_one_of_them_whole(folder: Path) -> None:
    contents = [bytes([number]) * CHUNK for number in range(1, 9)]
    with open_writer(folder) as replica, ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda content: [replica.commit(0, [write(3, 0, content)]) for _ in range(20)], contents)
        )
        assert replica.digests(3, 0, 1) == digest.of((folder / LOWEST / "disk-3.raw").read_bytes()[:CHUNK])


class Gate(Filter):
    """Flushes wait until it is opened."""

    def __init__(self, inner: Device) -> None:
        super().__init__(inner)
        self.reached, self.open = threading.Event(), threading.Event()

    def before(self, operation: Operation, offset: int, length: int) -> None:
        if operation is Operation.FLUSH:
            self.reached.set()
            assert self.open.wait(30)


@pytest.mark.parametrize("call", ["raise_generation", "seal"])
def test_raising_the_generation_and_sealing_wait_for_a_commit(folder: Path, call: str) -> None:
    """As if by two processes: each has the replica open for itself."""
    with open_writer(folder) as writer, open_writer(folder) as owner, ThreadPoolExecutor(2) as pool:
        writer.commit(0, FILLED)
        gate = writer.devices[3] = Gate(writer.devices[3])
        commit = pool.submit(writer.commit, 0, [write(3, 3, b"x" * CHUNK)])
        assert gate.reached.wait(30)
        owned = (
            pool.submit(owner.seal, "r-1", ROOTS)
            if call == "seal"
            else pool.submit(owner.raise_generation, 1)
        )
        with pytest.raises(TimeoutError):
            owned.result(0.3)
        gate.open.set()
        commit.result(30)
        owned.result(30)
        with pytest.raises(TicketStaleError):
            writer.commit(0, FILLED)


def _write_until_fenced(folder: Path, started, result) -> None:
    """A writer of generation 1 in a process of its own: how many commits it had done when it was refused."""
    count = 0
    with open_writer(folder) as replica:
        try:
            while True:
                replica.commit(1, [write(3, 0, b"o" * CHUNK)])
                count += 1
                started.set()
        except TicketStaleError:
            result.put(count)


def test_once_a_generation_is_raised_nothing_of_the_old_one_is_written(folder: Path) -> None:
    """Busy writers in other processes: when the call returns, none of them changes a byte any more."""
    context = multiprocessing.get_context("spawn")
    started, results = [context.Event() for _ in range(2)], context.Queue()
    with open_writer(folder) as replica:
        replica.raise_generation(1)
        writers = [
            context.Process(target=_write_until_fenced, args=(folder, event, results)) for event in started
        ]
        for writer in writers:
            writer.start()
        for event in started:
            assert event.wait(60)
        replica.raise_generation(2)
        replica.commit(2, [write(3, 0, b"n" * CHUNK)])
        for writer in writers:
            writer.join(60)
        assert [results.get(timeout=10) > 0 for _ in writers] == [True, True]
        assert replica.digests(3, 0, 1) == digest.of(b"n" * CHUNK)
    assert (folder / LOWEST / "disk-3.raw").read_bytes()[:CHUNK] == b"n" * CHUNK
