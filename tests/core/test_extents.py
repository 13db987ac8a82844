"""Many extents in little memory: the same as a list of them, and bounded only by what stays sound."""

import sys
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.extent import differing, intersect, joined, merge, shifted, union
from rehost.core.extents import SMALLEST_GAP, Extent, Extents, Gathering

LISTS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 30)).map(lambda one: Extent(one[0], one[0] + one[1])),
    max_size=15,
)
BLOCKS = st.lists(  # far apart enough for gaps to be closed or not
    st.tuples(st.integers(0, 60), st.integers(1, 3)).map(
        lambda one: Extent(one[0] * SMALLEST_GAP, (one[0] + one[1]) * SMALLEST_GAP)
    ),
    max_size=30,
)


def places(extents: Sequence[Extent], step: int = 1) -> set[int]:
    return {place for one in extents for place in range(one.start, one.end, step)}


@given(LISTS)
def test_they_are_a_sequence_like_the_list_of_them(extents: list[Extent]) -> None:
    compact, plain = merge(extents), list(merge(extents))
    assert compact == plain == list(compact)
    assert compact == tuple(plain)
    assert len(compact) == len(plain)
    assert [compact[place] for place in range(-len(plain), len(plain))] == plain + plain
    assert compact[1:7:2] == plain[1:7:2]
    assert bool(compact) == bool(plain)
    assert (compact == [*plain, Extent(900, 901)]) is False
    with pytest.raises(IndexError):
        compact[len(plain)]


@given(LISTS)
def test_bytes_and_back(extents: list[Extent]) -> None:
    compact = merge(extents)
    assert Extents.from_bytes(compact.to_bytes()) == compact
    assert len(compact.to_bytes()) == 16 * len(compact)


@pytest.mark.parametrize("content", [b"x", bytes(8), bytes(16), merge([Extent(5, 9)]).to_bytes() * 2])
def test_other_bytes_are_no_extents(content: bytes) -> None:
    with pytest.raises(ValueError):
        Extents.from_bytes(content)


@given(LISTS, LISTS)
def test_union(one: list[Extent], other: list[Extent]) -> None:
    both = union([merge(one), merge(other), []])
    assert places(both) == places(one) | places(other)
    assert both == merge([*one, *other])


@given(LISTS, st.integers(0, 50))
def test_shifted(extents: list[Extent], by: int) -> None:
    assert places(shifted(merge(extents), by)) == {place + by for place in places(extents)}


@pytest.mark.parametrize("moved", [0, 4, 8, 40_000])
def test_what_differs_between_long_lists(moved: int) -> None:
    """More than one window of them, with pieces that only one of them has at the beginning and the end."""
    one = [Extent(place * 8, place * 8 + 4) for place in range(10_000)]
    other = [Extent(moved + place * 8, moved + place * 8 + 4) for place in range(10_000)]
    del other[2000:2010]
    found = differing(merge(one), merge(other))
    assert places(found) == places(one) ^ places(other)
    assert found == merge(found)


@given(LISTS, LISTS)
def test_compact_and_plain_lists_count_alike(one: list[Extent], other: list[Extent]) -> None:
    assert differing(merge(one), merge(other)) == differing(list(merge(one)), list(merge(other)))
    assert intersect(list(merge(one)), Extent(50, 70)) == intersect(merge(one), Extent(50, 70))


@given(BLOCKS, st.integers(1, 12))
def test_gathering_is_bounded_and_loses_nothing(extents: list[Extent], most: int) -> None:
    gathering = Gathering(most)
    for extent in sorted(extents):
        gathering.add(extent.start, extent.end)
    found = gathering.extents()
    assert len(found) <= most
    exact = merge(extents)
    assert places(found, SMALLEST_GAP) >= places(exact, SMALLEST_GAP)
    closed = set(differing(found, exact))
    assert all(len(gap) <= gathering.gap for gap in closed)
    assert gathering.gap > 0 or found == exact


@given(BLOCKS, st.integers(1, 12))
def test_an_exact_list_with_the_same_gaps_closed_is_the_same(extents: list[Extent], most: int) -> None:
    """So two maps of the same disk are the same, if the second begins with the first one's gap."""
    first = Gathering(most)
    for extent in sorted(extents):
        first.add(extent.start, extent.end)
    second = Gathering(most, first.gap)
    for extent in sorted(extents):
        second.add(extent.start, extent.end)
    assert second.gap == first.gap
    assert second.extents() == first.extents()
    assert all(after.start - before.end > first.gap for before, after in pairwise(first.extents()))


def test_what_is_out_of_order_is_refused() -> None:
    gathering = Gathering()
    gathering.add(10, 20)
    gathering.add(10, 15)
    with pytest.raises(ValueError, match="out of order"):
        gathering.add(9, 30)


def test_a_million_extents_take_sixteen_megabytes() -> None:
    extents = joined(Extent(place * 8, place * 8 + 4) for place in range(1 << 20))
    assert sys.getsizeof(extents.edges) < 20 << 20
    assert extents.total == 4 << 20
    assert intersect(extents, Extent(8, 24)) == [Extent(8, 12), Extent(16, 20)]
