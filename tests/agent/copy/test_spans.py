"""Which chunks a pass looks at and reads."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.copy.reader import BATCH
from rehost.agent.copy.spans import MOST_PATCHED, Span, View, span_count, spans, work_of
from rehost.core.agentapi import AssignmentVolume
from rehost.core.digest import ABSENT, SPAN
from rehost.core.extent import Extent, merge
from rehost.core.pages import PAGE

CHUNK = 256 << 10
CHUNKS = 300
SIZE = CHUNKS * CHUNK - 1000
VOLUME = AssignmentVolume(0, "/dev/sda", SIZE, CHUNK)
KNOWN = b"k" * 32
extents = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(1, 20 * CHUNK)).map(
        lambda pair: Extent(pair[0], min(pair[0] + pair[1], SIZE))
    ),
    max_size=8,
).map(merge)
journals = st.sets(st.integers(0, CHUNKS - 1)).map(
    lambda absent: [ABSENT if chunk in absent else KNOWN for chunk in range(CHUNKS)]
)


def touches(found: list[Extent], chunk: int) -> bool:
    return any(e.start < (chunk + 1) * CHUNK and e.end > chunk * CHUNK for e in found)


def pages_of(found: list[Extent], chunk: int) -> int:
    """The pages of a chunk that extents touch, one by one."""
    starts = range(chunk * CHUNK, min((chunk + 1) * CHUNK, SIZE), PAGE)
    return sum(
        1 << place
        for place, start in enumerate(starts)
        if any(e.start < start + PAGE and e.end > start for e in found)
    )


@given(extents, st.none() | extents, journals, extents)
def test_every_chunk_that_may_differ_is_looked_at_once(
    used: list[Extent], suspects: list[Extent] | None, journal: list[bytes], compared: list[Extent]
) -> None:
    view = View(VOLUME, used, suspects)
    looked = []
    for span in spans(view, [b""] * span_count(VOLUME)):
        part = journal[span.first : span.first + span.count]
        work = work_of(view, span, part, BATCH, compared)
        patched = [chunk for chunk, _ in work.patches]
        read = [chunk for run in work.reads for chunk in run]
        assert all(touches(used, chunk) for chunk in (*read, *patched))
        assert not any(touches(compared, chunk) or journal[chunk] == ABSENT for chunk in patched)
        assert all(found == pages_of(suspects or [], chunk) for chunk, found in work.patches)
        assert not any(touches(used, chunk) for chunk in work.empty)
        assert all(0 < len(run) * CHUNK <= BATCH for run in work.reads)
        looked += [*read, *work.empty, *patched]
    assert sorted(looked) == [
        chunk
        for chunk in range(CHUNKS)
        if suspects is None or touches(suspects, chunk) or journal[chunk] == ABSENT
    ]


def test_a_span_that_is_known_and_has_no_suspects_is_left_out() -> None:
    known = [KNOWN] * span_count(VOLUME)
    assert list(spans(View(VOLUME, [], []), known)) == []
    assert list(spans(View(VOLUME, [], [Extent(5, 6)]), known)) == [Span(0, SPAN)]
    assert list(spans(View(VOLUME, [], None), known)) == [Span(0, SPAN), Span(SPAN, CHUNKS - SPAN)]
    assert list(spans(View(VOLUME, [], []), [KNOWN, b""])) == [Span(SPAN, CHUNKS - SPAN)]


def test_the_weight_is_the_used_bytes_in_suspect_chunks() -> None:
    used = [Extent(0, 1000), Extent(5 * CHUNK, 6 * CHUNK)]
    assert View(VOLUME, used, None).weight == 1000 + CHUNK
    assert View(VOLUME, used, [Extent(10, 11)]).weight == 1000
    assert View(VOLUME, used, []).weight == 0


def test_a_chunk_that_was_written_mostly_is_sent_whole() -> None:
    chunk, most = Extent(0, CHUNK), int(MOST_PATCHED * CHUNK)
    for written, patched in ((PAGE, True), (most, True), (most + PAGE, False), (CHUNK, False)):
        work = work_of(View(VOLUME, [chunk], [Extent(0, written)]), Span(0, 1), [KNOWN], BATCH)
        assert bool(work.patches) is patched
        assert bool(work.reads) is not patched


def test_large_chunks_are_read_one_by_one() -> None:
    volume = AssignmentVolume(0, "/dev/sda", 5 << 20, 1 << 20)
    view = View(volume, [Extent(0, 5 << 20)], None)
    work = work_of(view, Span(0, 5), [KNOWN] * 5, BATCH)
    assert work.reads == tuple(range(chunk, chunk + 1) for chunk in range(5))
