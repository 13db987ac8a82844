"""Compares a disk with the digests of its run, in several threads: reads and BLAKE3 leave the interpreter."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rehost.agent.copy.reader import BATCH, ChunkReader
from rehost.agent.copy.spans import Span, View, span_count, spans, work_of
from rehost.block.device import Device
from rehost.block.digests import ChunkDigests
from rehost.block.filters import Padded
from rehost.block.volume import VolumeShape
from rehost.core import digest
from rehost.core.agentapi import AssignmentVolume
from rehost.core.extent import Extent, Extents, intersect, joined, merge
from rehost.core.extents import SMALLEST_GAP, Gathering
from rehost.core.verification import Comparison

THREADS = min(4, os.cpu_count() or 1)
_GAPS = tuple(SMALLEST_GAP << step for step in range(13))  # up to 16 MiB
Told = Callable[[float], None]
"""Told how much is done, in percent."""


def compare(
    shape: VolumeShape, device: Device, used: Sequence[Extent], digests: ChunkDigests, told: Told
) -> Comparison:
    """Compare all chunks. `used` is merged; other bytes read as zeroes, as they did in the run.

    What is free now may have counted as used then, so a chunk that differs is looked at once more with more
    of it (see `readings`). `digests` is read in ascending order. `told` is called from several threads, one
    at a time. SourceReadError if the device cannot be read.
    """
    work = _Work(shape, device, used, digests, told)
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for worker in [pool.submit(work.carry_out) for _ in range(THREADS)]:
                worker.result()
        finally:
            work.stop()  # an error or Ctrl-C: the others need not go on to the end
    return work.result()


def readings(used: Sequence[Extent], window: Extent) -> Iterator[Extents]:
    """What may have counted as used of a window besides `used`, ascending, each once: gaps closed, as where
    free extents were too many (see `Gathering`), and all of it. Each has all that `used` has. Pure."""
    last = intersect(used, window)
    for gap in _GAPS:
        around = Extent(max(0, window.start - 2 * gap), window.end + 2 * gap)
        found = intersect(_closed(intersect(used, around), gap), window)
        if found != last:
            yield found
        last = found
    if last != [window]:
        yield joined([window])


def _closed(used: Extents, gap: int) -> Extents:
    gathering = Gathering(gap=gap)
    for extent in used:
        gathering.add(extent.start, extent.end)
    return gathering.extents()


class _Work:
    def __init__(
        self, shape: VolumeShape, device: Device, used: Sequence[Extent], digests: ChunkDigests, told: Told
    ) -> None:
        volume = AssignmentVolume(shape.volume, "", shape.size, shape.chunk)
        self._view = View(volume, intersect(used, Extent(0, shape.size)), None)
        self._device, self._digests, self._told = Padded(device, shape.size), digests, told
        self._present = device.size
        self._nodes = [b""] * span_count(volume)
        self._spans = spans(self._view, list(self._nodes))
        self._lock = threading.Lock()
        self._stopped = False
        self._differing: list[Extent] = []
        self._all, self._done, self._read = max(self._view.weight, 1), 0, 0

    def stop(self) -> None:
        self._stopped = True

    def carry_out(self) -> None:
        """Until no span is left; any number of threads."""
        reader = ChunkReader()
        while (turn := self._take()) is not None:
            span, wanted = turn
            self._span(reader, span, wanted)

    def _take(self) -> tuple[Span, list[bytes]] | None:
        with self._lock:
            span = None if self._stopped else next(self._spans, None)
            if span is None:
                return None
            entries = self._digests.read(span.first, span.count)
        return span, digest.split(entries)

    def _span(self, reader: ChunkReader, span: Span, wanted: list[bytes]) -> None:
        found, read = self._found(reader, span, wanted)
        differing = []
        for place, chunk in enumerate(range(span.first, span.first + span.count)):
            if found[place] != wanted[place]:
                equal, count = self._equal_otherwise(reader, chunk, wanted[place])
                read += count
                if equal:
                    found[place] = wanted[place]
                else:
                    differing.append(self._view.extent(chunk))
        self._nodes[span.number] = digest.subtree(b"".join(found))
        self._note(span, merge(differing), read)

    def _found(self, reader: ChunkReader, span: Span, wanted: Sequence[bytes]) -> tuple[list[bytes], int]:
        """The digests of a span's chunks as they are now, masked, and how many bytes were read for them."""
        view, size = self._view, self._view.volume.chunk
        work = work_of(view, span, wanted, BATCH)
        found, read = [b""] * span.count, 0
        for chunks in work.reads:
            window = Extent(view.extent(chunks[0]).start, view.extent(chunks[-1]).end)
            content, count = reader.read(self._device, window, view.used)
            read += count
            for place, chunk in enumerate(chunks):
                found[chunk - span.first] = digest.of(content[place * size : (place + 1) * size])
        for chunk in work.empty:
            found[chunk - span.first] = digest.of_zeroes(view.length(chunk))
        return found, read

    def _equal_otherwise(self, reader: ChunkReader, chunk: int, wanted: bytes) -> tuple[bool, int]:
        """Whether a chunk equals with more of it counted as used, and how many bytes were read for that."""
        window, read = self._view.extent(chunk), 0
        for used in readings(self._view.used, window):
            content, count = reader.read(self._device, window, used)
            read += count
            if digest.of(content) == wanted:
                return True, read
        return False, read

    def _note(self, span: Span, differing: Sequence[Extent], read: int) -> None:
        with self._lock:
            self._differing += differing
            self._read += read
            self._done += self._view.weigh(span.window(self._view))
            self._told(100 * self._done / self._all)

    def result(self) -> Comparison:
        volume = self._view.volume
        root = digest.root_of_subtrees(self._nodes, volume.size)
        differing = tuple(merge(self._differing))
        return Comparison(volume.volume, volume.size, self._present, self._read, differing, root)
