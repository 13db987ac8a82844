"""Extents: half-open byte ranges, and the arithmetic on sorted, disjoint lists of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """The bytes from `start` (inclusive) to `end` (exclusive) of a disk."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"not an extent: {self.start}..{self.end}")

    def __len__(self) -> int:
        return self.end - self.start


def merge(extents: Iterable[Extent]) -> list[Extent]:
    """Sort, join what touches or overlaps."""
    merged: list[Extent] = []
    for extent in sorted(extents):
        if merged and extent.start <= merged[-1].end:
            merged[-1] = Extent(merged[-1].start, max(merged[-1].end, extent.end))
        else:
            merged.append(extent)
    return merged


def total(extents: Iterable[Extent]) -> int:
    return sum(map(len, extents))


def intersect(extents: Sequence[Extent], window: Extent) -> list[Extent]:
    """What of merged extents lies in the window, cut at its edges."""
    low = _first_ending_after(extents, window.start)
    found = []
    for extent in extents[low:]:
        if extent.start >= window.end:
            break
        found.append(Extent(max(extent.start, window.start), min(extent.end, window.end)))
    return found


def subtract(whole: Extent, holes: Iterable[Extent]) -> list[Extent]:
    """What of `whole` no hole covers; holes in any order."""
    left, position = [], whole.start
    for hole in merge(holes):
        if hole.start > position and position < whole.end:
            left.append(Extent(position, min(hole.start, whole.end)))
        position = max(position, hole.end)
    if position < whole.end:
        left.append(Extent(position, whole.end))
    return left


def differing(one: Sequence[Extent], other: Sequence[Extent]) -> list[Extent]:
    """What lies in exactly one of two merged lists."""
    edges: list[int] = []
    for edge in sorted(edge for extent in (*one, *other) for edge in (extent.start, extent.end)):
        if edges and edges[-1] == edge:
            edges.pop()  # both lists begin, end or meet there: nothing changes
        else:
            edges.append(edge)
    return [Extent(*pair) for pair in zip(edges[::2], edges[1::2], strict=True)]


def align(extents: Iterable[Extent], size: int, limit: int) -> list[Extent]:
    """Extents widened to multiples of `size`, but not past `limit`."""
    return merge(
        Extent(e.start // size * size, min(-(-e.end // size) * size, limit))
        for e in extents
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


def _first_ending_after(extents: Sequence[Extent], position: int) -> int:
    low, high = 0, len(extents)
    while low < high:
        middle = (low + high) // 2
        if extents[middle].end <= position:
            low = middle + 1
        else:
            high = middle
    return low


def chunk_size_for(size: int) -> int:
    """The unit of comparison and transfer for a disk of `size` bytes: 256 KiB, above 1 TiB 1 MiB.

    A journal costs 32 bytes a chunk: 128 MiB per TiB at 256 KiB, 512 MiB at 16 TiB with 1 MiB.
    """
    return 256 << 10 if size <= 1 << 40 else 1 << 20
