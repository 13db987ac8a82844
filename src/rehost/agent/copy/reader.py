"""Reads chunks of a source disk as they are copied: used bytes from the disk, zeroes for everything else."""

from collections.abc import Sequence

from rehost.block.file import DIRECT_ALIGNMENT
from rehost.block.linux import aligned_buffer
from rehost.core.extent import Extent, align, intersect, subtract
from rehost.track.used import Readable

BATCH = 1 << 20  # bytes that are read together at most, and at least one chunk
_BRIDGED = 64 << 10  # a gap that is cheaper to read than to leave out
_ZEROES = bytes(BATCH)


class ChunkReader:
    """For one thread: all its reads go into one aligned buffer, so that O_DIRECT copies nothing."""

    def __init__(self) -> None:
        self._buffer = aligned_buffer(BATCH)

    def read(self, device: Readable, window: Extent, used: Sequence[Extent]) -> tuple[memoryview, int]:
        """The masked content of a window of at most BATCH bytes, and how many bytes were read for it.

        The window begins at a chunk; `used` is the disk's merged list. The content is lent until the next
        call.
        """
        content = self._buffer[: len(window)]
        wanted = intersect(used, window)
        count = 0
        for piece in pieces(wanted, window):
            device.read_into(piece.start, content[piece.start - window.start : piece.end - window.start])
            count += len(piece)
        for hole in subtract(window, wanted):
            content[hole.start - window.start : hole.end - window.start] = _ZEROES[: len(hole)]
        return content, count


def pieces(wanted: Sequence[Extent], window: Extent) -> list[Extent]:
    """The reads that bring merged extents of a window in: aligned, with small gaps bridged."""
    bridged: list[Extent] = []
    for extent in align(wanted, DIRECT_ALIGNMENT, window.end):
        if bridged and extent.start - bridged[-1].end <= _BRIDGED:
            bridged[-1] = Extent(bridged[-1].start, extent.end)
        else:
            bridged.append(extent)
    return bridged
