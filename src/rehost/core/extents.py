"""An extent, and very many of them in little memory: as the sorted numbers at which they begin and end."""

import itertools
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

MOST = 1 << 18  # extents that a list of a disk that can have any number of them is bounded to: 4 MiB
SMALLEST_GAP = 4096  # bytes: the first that is closed when extents become too many


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


class Extents(Sequence[Extent]):
    """Sorted extents that do not even touch each other; immutable, 16 bytes each.

    A fragmented file system has millions of them; as objects they would take ten times as much.
    """

    __slots__ = ("edges",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, edges: "array[int]") -> None:
        """`edges`: start, end, start, end and so on, ascending; taken over."""
        self.edges = edges

    @classmethod
    def from_bytes(cls, content: bytes) -> "Extents":
        """What `to_bytes` gave on this machine; ValueError for what it never gives."""
        edges = array("Q")
        edges.frombytes(content)
        if len(edges) % 2 or any(map(int.__ge__, edges, edges[1:])):
            raise ValueError("these bytes are no extents")
        return cls(edges)

    def to_bytes(self) -> bytes:
        return self.edges.tobytes()

    @property
    def total(self) -> int:
        """Bytes in all of them."""
        return sum(self.edges[1::2]) - sum(self.edges[::2])

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Start and end of each."""
        edges = iter(self.edges)
        return zip(edges, edges, strict=True)

    def __len__(self) -> int:
        return len(self.edges) // 2

    @overload
    def __getitem__(self, place: int) -> Extent: ...
    @overload
    def __getitem__(self, place: slice) -> list[Extent]: ...
    def __getitem__(self, place: int | slice) -> Extent | list[Extent]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        at = 2 * range(len(self))[place]
        return Extent(self.edges[at], self.edges[at + 1])

    def __iter__(self) -> Iterator[Extent]:
        return itertools.starmap(Extent, self.pairs())

    def __eq__(self, other: object) -> bool:
        """Equal to every sequence of the same extents."""
        if isinstance(other, Extents):
            return self.edges == other.edges
        if isinstance(other, Sequence):
            return len(self) == len(other) and all(map(Extent.__eq__, self, other))
        return NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.start}..{one.end}" for one in self[:10])
        return f"Extents({shown}{', ...' if len(self) > 10 else ''})"


class Gathering:
    """Makes Extents of a stream, joining what touches or overlaps.

    With `most`, their number is bounded: when there are more, the gaps of up to `gap` bytes are closed, and
    `gap` doubles until no more than half of `most` are left. A gap that is closed says of bytes that they
    belong to the extents which do not; whoever sets `most` has to be right with that. To begin with the gap
    that another gathering ended with keeps both comparable.
    """

    def __init__(self, most: int = sys.maxsize, gap: int = 0) -> None:
        self._most = most
        self.gap = gap
        self._edges = array("Q")

    def add(self, start: int, end: int) -> None:
        """ValueError if it starts before the last one did."""
        edges = self._edges
        if edges and start <= edges[-1] + self.gap:
            if start < edges[-2]:
                raise ValueError(f"extents out of order: {start} after {edges[-2]}")
            if end > edges[-1]:
                edges[-1] = end
            return
        edges.append(start)
        edges.append(end)
        if len(self) > self._most:
            self._coarsen()

    def __len__(self) -> int:
        return len(self._edges) // 2

    def extents(self) -> Extents:
        """All of them; nothing is added afterwards."""
        return Extents(self._edges)

    def _coarsen(self) -> None:
        while len(self) > max(self._most // 2, 1):
            self.gap = max(2 * self.gap, SMALLEST_GAP)
            self._edges = _closed(self._edges, self.gap)


def _closed(edges: "array[int]", gap: int) -> "array[int]":
    kept = array("Q", edges[:1])
    for end, start in zip(edges[1:-1:2], edges[2::2], strict=True):
        if start - end > gap:
            kept.append(end)
            kept.append(start)
    kept.append(edges[-1])
    return kept
