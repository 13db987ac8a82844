"""Extents against sets of bytes: what each function means, said the slow way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core import extent
from rehost.core.extent import Extent

LIMIT = 200
EXTENTS = st.builds(
    lambda start, length: Extent(start, start + length), st.integers(0, LIMIT - 1), st.integers(1, 40)
)
LISTS = st.lists(EXTENTS, max_size=12)


def places(extents: list[Extent]) -> set[int]:
    return {place for one in extents for place in range(one.start, one.end)}


def assert_merged(extents: list[Extent]) -> None:
    """Sorted, and not even touching."""
    for before, after in pairwise(extents):
        assert before.end < after.start


@pytest.mark.parametrize(("start", "end"), [(0, 0), (5, 4), (-1, 3)])
def test_an_extent_is_not_empty_and_not_negative(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not an extent"):
        Extent(start, end)


@given(LISTS)
def test_merge(extents: list[Extent]) -> None:
    merged = extent.merge(extents)
    assert places(merged) == places(extents)
    assert_merged(merged)
    assert extent.merge(merged) == merged
    assert extent.total(merged) == len(places(extents))


@given(LISTS, EXTENTS)
def test_intersect(extents: list[Extent], window: Extent) -> None:
    found = extent.intersect(extent.merge(extents), window)
    assert places(found) == places(extents) & places([window])
    assert_merged(found)


@given(EXTENTS, LISTS)
def test_subtract(whole: Extent, holes: list[Extent]) -> None:
    left = extent.subtract(whole, holes)
    assert places(left) == places([whole]) - places(holes)
    assert_merged(left)


@given(LISTS, st.integers(1, 50), st.integers(1, LIMIT + 60))
def test_align(extents: list[Extent], size: int, limit: int) -> None:
    aligned = extent.align(extents, size, limit)
    blocks = {place // size for place in places(extents) if place < limit}
    assert places(aligned) == {p for p in range(limit) if p // size in blocks}
    assert_merged(aligned)


@given(LISTS, st.integers(1, 50))
def test_chunks_of(extents: list[Extent], chunk: int) -> None:
    assert list(extent.chunks_of(extent.merge(extents), chunk)) == sorted(
        {p // chunk for p in places(extents)}
    )


@given(st.integers(1, 5000), st.integers(1, 600))
def test_chunks_cover_a_length_exactly(length: int, chunk: int) -> None:
    count = extent.chunk_count(length, chunk)
    chunks = [extent.chunk_extent(index, chunk, length) for index in range(count)]
    assert extent.merge(chunks) == [Extent(0, length)]
    assert extent.total(chunks) == length
    assert all(len(one) == chunk for one in chunks[:-1])


@pytest.mark.parametrize(
    ("size", "chunk"),
    [(512, 256 << 10), (1 << 40, 256 << 10), ((1 << 40) + 512, 1 << 20), (1 << 50, 1 << 20)],
)
def test_chunk_size_for(size: int, chunk: int) -> None:
    assert extent.chunk_size_for(size) == chunk
