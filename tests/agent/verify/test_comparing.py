"""Comparing a disk with digests gives what the definition says, whatever is used, differs or is cut off."""

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.verify.comparing import compare
from rehost.block.memory import MemoryDevice
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.errors import SourceReadError
from rehost.core.extent import Extent, chunk_extent, intersect, merge, subtract
from rehost.core.extents import Gathering

CHUNK = 4096
CHUNKS = 600  # more than two spans


@dataclass
class Digests:
    entries: list[bytes]

    def read(self, first: int, count: int) -> bytes:
        return b"".join(self.entries[first : first + count])


def masked(content: bytes, used: list[Extent]) -> bytes:
    result = bytearray(content)
    for hole in subtract(Extent(0, len(content)), used):
        result[hole.start : hole.end] = bytes(len(hole))
    return bytes(result)


def digests_of(content: bytes, chunk: int = CHUNK) -> list[bytes]:
    return [digest.of(content[start : start + chunk]) for start in range(0, len(content), chunk)]


def device_of(content: bytes) -> MemoryDevice:
    device = MemoryDevice(len(content))
    device.write(0, content)
    return device


places = st.lists(st.integers(0, CHUNKS * CHUNK - 1), max_size=8)


@given(
    size=st.integers(CHUNK * CHUNKS - 5000, CHUNK * CHUNKS),
    edges=st.lists(st.integers(0, CHUNKS * CHUNK), max_size=12, unique=True),
    changes=places,
    cut=st.sampled_from([0, 0, 1, CHUNK, 20 * CHUNK]),
)
def test_it_finds_what_differs_in_used_bytes_and_nothing_else(
    size: int, edges: list[int], changes: list[int], cut: int
) -> None:
    pairs = sorted(edge for edge in edges if edge <= size)
    used = merge(Extent(*pair) for pair in zip(pairs[::2], pairs[1::2], strict=False) if pair[0] < pair[1])
    content = b"stale" * (size // 5) + bytes(size % 5)
    now = bytearray(content)
    for place in changes:
        if place < size:
            now[place] ^= 0xFF
    there = bytes(now[: size - cut])
    shape = VolumeShape(0, size, CHUNK)
    entries = digests_of(masked(content, used))
    found = compare(shape, device_of(there), used, Digests(entries), lambda _: None)
    ends = digests_of(masked(there + bytes(cut), used))
    differing = [chunk for chunk in range(shape.chunks) if entries[chunk] != ends[chunk]]
    assert list(found.differing) == merge(chunk_extent(chunk, CHUNK, size) for chunk in differing)
    assert found.root == digest.root(ends, size)
    assert found.equal == (not differing and not cut)


def test_what_was_used_then_and_is_free_now_is_no_difference() -> None:
    content = b"abcd" * (CHUNK // 2)
    found = compare(
        VolumeShape(0, len(content), CHUNK),
        device_of(content),
        [Extent(0, 10)],  # the second chunk and the rest of the first are free now
        Digests(digests_of(content)),
        lambda _: None,
    )
    assert found.equal


@pytest.mark.parametrize("gap", [4096, 8192, 1 << 20, 4 << 20])
def test_small_free_extents_that_counted_as_used_are_no_difference(gap: int) -> None:
    """As on a disk that had more free extents than a run keeps, and has less of them now."""
    chunk = 64 * CHUNK
    gathering, used, end = Gathering(gap=gap), list[Extent](), 0
    for length in [512, 4096, 4608, 8192, 65536, 300_000, 1 << 20, 3 << 20, 5 << 20, 4096] * 2:
        used.append(Extent(end + length, end + length + 5000))
        end = used[-1].end
        gathering.add(used[-1].start, end)
    content = bytearray(b"stale" * (end // 5 + 1))[:end]
    counted = masked(bytes(content), list(gathering.extents()))
    wanted = Digests(digests_of(counted, chunk))
    shape = VolumeShape(0, end, chunk)
    assert compare(shape, device_of(bytes(content)), used, wanted, lambda _: None).equal
    for extent in used:
        content[extent.start + 100] ^= 1
    found = compare(shape, device_of(bytes(content)), used, wanted, lambda _: None)
    assert all(intersect(found.differing, Extent(one.start + 100, one.start + 101)) for one in used)


def test_a_read_error_ends_all_threads() -> None:
    class Broken(MemoryDevice):
        def read_into(self, offset: int, buffer: memoryview) -> None:
            if offset >= 300 * CHUNK:
                raise SourceReadError(f"cannot read at {offset}")
            super().read_into(offset, buffer)

    shape = VolumeShape(0, CHUNKS * CHUNK, CHUNK)
    wanted = Digests([digest.of_zeroes(CHUNK)] * CHUNKS)
    before = threading.active_count()
    with pytest.raises(SourceReadError, match="cannot read"):
        compare(shape, Broken(shape.size), [Extent(0, shape.size)], wanted, lambda _: None)
    assert threading.active_count() == before
