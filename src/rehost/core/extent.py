"""Arithmetic on merged extents (sorted and disjoint), and the chunks that they touch."""

import heapq
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from rehost.core.extents import Extent as Extent
from rehost.core.extents import Extents as Extents
from rehost.core.extents import Gathering

_WINDOW = 4096  # edges that are looked at together


def merge(extents: Iterable[Extent]) -> Extents:
    """Sort, join what touches or overlaps."""
    return extents if isinstance(extents, Extents) else joined(sorted(extents))


def joined(extents: Iterable[Extent], most: int = sys.maxsize) -> Extents:
    """As `merge`, of a stream that ascends by its starts; `most` as in `Gathering`."""
    gathering = Gathering(most)
    for extent in extents:
        gathering.add(extent.start, extent.end)
    return gathering.extents()


def union(lists: Iterable[Sequence[Extent]], most: int = sys.maxsize) -> Extents:
    """What lies in any of several merged lists; `most` as in `Gathering`."""
    compact = [_compact(one) for one in lists if one]
    if len(compact) == 1 and len(compact[0]) <= most:
        return compact[0]
    gathering = Gathering(most)
    for start, end in heapq.merge(*(one.pairs() for one in compact)):
        gathering.add(start, end)
    return gathering.extents()


def total(extents: Iterable[Extent]) -> int:
    return extents.total if isinstance(extents, Extents) else sum(map(len, extents))


def intersect(extents: Sequence[Extent], window: Extent) -> Extents:
    """What of merged extents lies in the window, cut at its edges."""
    edges = _compact(extents).edges
    low, high = bisect_right(edges, window.start), bisect_left(edges, window.end)
    inside = edges[low:high]
    if low % 2:  # the window begins within an extent
        inside.insert(0, window.start)
    if high % 2:
        inside.append(window.end)
    return Extents(inside)


def subtract(whole: Extent, holes: Iterable[Extent]) -> Extents:
    """What of `whole` no hole covers; holes in any order."""
    edges = intersect(merge(holes), whole).edges
    left = array("Q", [whole.start]) + edges + array("Q", [whole.end])
    first = 2 if left[:1] == edges[:1] else 0
    end = len(left) - (2 if left[-1:] == edges[-1:] else 0)
    return Extents(left[first:end])


def shifted(extents: Extents, by: int) -> Extents:
    """The same further on by so many bytes."""
    return Extents(array("Q", [edge + by for edge in extents.edges]))


def differing(one: Sequence[Extent], other: Sequence[Extent]) -> Extents:
    """What lies in exactly one of two merged lists.

    These are the extents between the edges that only one of the lists has: where both begin or end, or one
    begins where the other ends, nothing changes. Compared window by window, in little memory.
    """
    left, right, edges = _compact(one).edges, _compact(other).edges, array("Q")
    low = high = 0
    while low < len(left) and high < len(right):
        limit = min(left[low : low + _WINDOW][-1], right[high : high + _WINDOW][-1])
        until, upto = bisect_right(left, limit), bisect_right(right, limit)
        if left[low:until] != right[high:upto]:
            edges.extend(sorted(set(left[low:until]).symmetric_difference(right[high:upto])))
        low, high = until, upto
    return Extents(edges + left[low:] + right[high:])


def align(extents: Iterable[Extent], size: int, limit: int) -> Extents:
    """Extents widened to multiples of `size`, but not past `limit`."""
    return joined(
        Extent(e.start // size * size, min(-(-e.end // size) * size, limit))
        for e in merge(extents)
        if e.start < limit
    )


def chunk_count(length: int, chunk: int) -> int:
    return -(-length // chunk)


def chunk_extent(index: int, chunk: int, length: int) -> Extent:
    """The bytes of one chunk; the last one may be short."""
    return Extent(index * chunk, min((index + 1) * chunk, length))


def chunks_of(extents: Iterable[Extent], chunk: int) -> Iterator[int]:
    """The indexes of all chunks that merged extents touch, ascending, each once."""
    previous = -1
    for extent in extents:
        for index in range(max(extent.start // chunk, previous + 1), chunk_count(extent.end, chunk)):
            yield index
            previous = index


def chunk_size_for(size: int) -> int:
    """The unit of comparison and transfer for a disk of `size` bytes: 256 KiB, above 1 TiB 1 MiB.

    A journal costs 32 bytes a chunk: 128 MiB per TiB at 256 KiB, 512 MiB at 16 TiB with 1 MiB.
    """
    return 256 << 10 if size <= 1 << 40 else 1 << 20


def _compact(extents: Sequence[Extent]) -> Extents:
    return extents if isinstance(extents, Extents) else joined(extents)
