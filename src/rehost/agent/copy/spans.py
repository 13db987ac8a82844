"""A pass over one disk, cut into spans: which chunks to look at, and which of them to read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rehost.agent.copy.nodes import is_known
from rehost.core import pages
from rehost.core.agentapi import AssignmentVolume
from rehost.core.digest import ABSENT, SPAN
from rehost.core.extent import Extent, align, chunk_count, chunk_extent, chunks_of, intersect, total

MOST_PATCHED = 3 / 4  # of a chunk: for more the receiver need not read what it has


@dataclass(frozen=True, slots=True)
class View:
    """What a pass knows of its disk: what is used, and what may differ from the replica."""

    volume: AssignmentVolume
    used: Sequence[Extent]
    suspects: Sequence[Extent] | None  # None: everything
    fresh: bool = False  # the replica has no chunk yet: there is nothing to compare with

    @property
    def weight(self) -> int:
        """Used bytes in all chunks that may differ."""
        if self.suspects is None:
            return total(self.used)
        wanted = align(self.suspects, self.volume.chunk, self.volume.size)
        return sum(total(intersect(self.used, extent)) for extent in wanted)

    def weigh(self, window: Extent) -> int:
        return total(intersect(self.used, window))

    def extent(self, chunk: int) -> Extent:
        return chunk_extent(chunk, self.volume.chunk, self.volume.size)

    def length(self, chunk: int) -> int:
        return len(self.extent(chunk))


@dataclass(frozen=True, slots=True)
class Span:
    first: int
    count: int

    @property
    def number(self) -> int:
        return self.first // SPAN

    def window(self, view: View) -> Extent:
        return Extent(view.extent(self.first).start, view.extent(self.first + self.count - 1).end)


@dataclass(frozen=True, slots=True)
class Work:
    """Chunks of a span that have to be looked at."""

    empty: tuple[int, ...]  # no used byte in them: zero by definition
    reads: tuple[range, ...]  # neighbours that are read together
    patches: tuple[tuple[int, int], ...] = ()  # chunks, and the pages of them that may differ


def span_count(volume: AssignmentVolume) -> int:
    return chunk_count(chunk_count(volume.size, volume.chunk), SPAN)


def spans_touched(volume: AssignmentVolume, extents: Sequence[Extent]) -> int:
    """In how many spans merged extents lie."""
    return sum(1 for _ in chunks_of(extents, SPAN * volume.chunk))


def spans(view: View, known: Sequence[bytes]) -> Iterator[Span]:
    """The spans that have suspects, or whose node (`known`, see `agent.nodes`) nobody knows yet."""
    chunks = chunk_count(view.volume.size, view.volume.chunk)
    for first in range(0, chunks, SPAN):
        span = Span(first, min(SPAN, chunks - first))
        if (
            not is_known(known[span.number])
            or view.suspects is None
            or intersect(view.suspects, span.window(view))
        ):
            yield span


def work_of(
    view: View, span: Span, journal: Sequence[bytes], batch: int, compared: Sequence[Extent] = ()
) -> Work:
    """What to do in a span whose chunks have these digests in the journal; reads of at most `batch` bytes.

    Chunks in `compared` are never patched: that they changed is to be seen by their digests.
    """
    window, chunk = span.window(view), view.volume.chunk
    used = set(chunks_of(intersect(view.used, window), chunk))
    chunks = range(span.first, span.first + span.count)
    if view.suspects is None:
        looked: Sequence[int] = chunks
    else:
        suspect = set(chunks_of(intersect(view.suspects, window), chunk))
        looked = [c for c in chunks if c in suspect or journal[c - span.first] == ABSENT]
    there = (c for c in looked if c in used and journal[c - span.first] != ABSENT)
    patches = {c: found for c in there if (found := _patchable(view, c, compared))}
    reads = neighbours([c for c in looked if c in used and c not in patches], batch // chunk)
    return Work(tuple(c for c in looked if c not in used), tuple(reads), tuple(patches.items()))


def _patchable(view: View, chunk: int, compared: Sequence[Extent]) -> int:
    """The pages of a chunk that may differ; 0 if they are not known, or too many to be worth a patch."""
    window = view.extent(chunk)
    if view.suspects is None or intersect(compared, window):
        return 0
    found = pages.touched(intersect(view.suspects, window), window.start)
    return found if pages.size(found, len(window)) <= len(window) * MOST_PATCHED else 0


def neighbours(chunks: Sequence[int], most: int) -> Iterator[range]:
    """Ascending chunks as ranges, each of at most `most` of them."""
    first = 0
    for place in range(1, len(chunks) + 1):
        ends = place == len(chunks) or chunks[place] != chunks[place - 1] + 1 or place - first == most
        if ends:
            yield range(chunks[first], chunks[place - 1] + 1)
            first = place
