"""Masked chunks: used bytes as they are, everything else zero, and no more read than makes sense."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.copy.reader import BATCH, ChunkReader, pieces
from rehost.block.filters import Filter, Operation
from rehost.block.memory import MemoryDevice
from rehost.core.extent import Extent, merge, total

SIZE = (3 << 20) + 512
CONTENT = bytes(range(1, 256)) * (SIZE // 255 + 1)
extents = st.lists(
    st.tuples(st.integers(0, SIZE // 512 - 1), st.integers(1, 2000)).map(
        lambda pair: Extent(pair[0] * 512, min((pair[0] + pair[1]) * 512, SIZE))
    ),
    max_size=20,
).map(merge)
windows = st.integers(0, 3).map(lambda place: Extent(place * BATCH, min((place + 1) * BATCH, SIZE)))


class Reads(Filter):
    def __init__(self) -> None:
        device = MemoryDevice(SIZE)
        device.write(0, CONTENT[:SIZE])
        super().__init__(device)
        self.seen: list[Extent] = []

    def before(self, operation: Operation, offset: int, length: int) -> None:
        self.seen.append(Extent(offset, offset + length))


DEVICE = Reads()


@given(extents, windows)
def test_used_bytes_are_read_and_all_others_are_zero(used: list[Extent], window: Extent) -> None:
    DEVICE.seen = []
    content, count = ChunkReader().read(DEVICE, window, used)
    expected = bytearray(len(window))
    for extent in used:
        low, high = max(extent.start, window.start), min(extent.end, window.end)
        if low < high:
            expected[low - window.start : high - window.start] = CONTENT[low:high]
    assert content == expected
    assert count == total(DEVICE.seen)
    assert DEVICE.seen == merge(DEVICE.seen)
    assert all(e.start % 4096 == 0 and (e.end % 4096 == 0 or e.end == SIZE) for e in DEVICE.seen)


def test_small_gaps_are_read_over_and_large_ones_are_not() -> None:
    window = Extent(0, BATCH)
    near = [Extent(0, 4096), Extent(36864, 40960)]
    far = [Extent(0, 4096), Extent(200 << 10, 204 << 10)]
    assert pieces(near, window) == [Extent(0, 40960)]
    assert pieces(far, window) == far


def test_a_window_without_used_bytes_reads_nothing() -> None:
    DEVICE.seen = []
    content, count = ChunkReader().read(DEVICE, Extent(0, BATCH), [])
    assert (bytes(content), count, DEVICE.seen) == (bytes(BATCH), 0, [])
