"""The tracker's memory inside the kernel, read (and the epoch written) from here."""

import ctypes
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rehost.core.extent import Extents, chunk_count, chunk_size_for
from rehost.core.extents import MOST, Gathering
from rehost.track.bpf import system
from rehost.track.bpf.memory import Asked, memory_of
from rehost.track.bpf.programs import BLOCK, CELLS, COUNTS, GROUP, Maps

NAMES = ("epoch", "cells", "groups", "counts")

_MOST_CELLS = 4 << 20  # 16 MiB of the kernel's memory; more only where cells are whole chunks already


@dataclass(frozen=True, slots=True)
class Count:
    """Sums over all CPUs, since the tracker began."""

    requests: int  # of any kind
    sectors: int  # written, discarded or zeroed; only of completed requests
    passthrough: int  # requests past the block layer that send data


class KernelMaps:
    """`descriptors` in the order of NAMES; they are closed with this."""

    def __init__(self, descriptors: tuple[int, int, int, int], size: int, cell: int, rows: int) -> None:
        self.descriptors = descriptors
        self._size, self.cell, self._rows = size, cell, rows
        self._groups_count = groups_of(size, cell)
        self._epoch = memory_of(descriptors[0], 8, 1, writable=True)
        # Mapped, all of them would count as memory of this process: 64 MiB for 16 TiB.
        self._cells = Asked(descriptors[1], 4 * CELLS, self._groups_count)
        self._groups = memory_of(descriptors[2], GROUP, self._groups_count)
        self._cpus = possible_cpus()

    @property
    def maps(self) -> Maps:
        epoch, cells, groups, counts = self.descriptors
        return Maps(epoch=epoch, cells=cells, groups=groups, counts=counts)

    @property
    def epoch(self) -> int:
        return self._epoch.word(0)

    def raise_epoch(self) -> int:
        """The new epoch. Events that are under way may still mark the old one, see `wait_for_programs`."""
        self._epoch.set_word(0, self.epoch + 1)
        return self.epoch

    def since(self, epoch: int) -> Extents:
        """What was marked in this epoch or later: whole cells, cut at the disk's end; if it is in very many
        places, with what lies between them."""
        marked = Gathering(MOST, 0)
        for first, end in self._runs(epoch):
            if first * self.cell < self._size:
                marked.add(first * self.cell, min(end * self.cell, self._size))
        return marked.extents()

    def count(self, row: int) -> Count:
        value = ctypes.create_string_buffer(COUNTS * self._cpus)
        system.lookup(self.descriptors[3], row, value)
        words = memoryview(value.raw).cast("Q")
        return Count(*(sum(words[place::4]) for place in range(3)))

    def close(self) -> None:
        for memory in (self._epoch, self._cells, self._groups):
            memory.close()
        for descriptor in self.descriptors:
            os.close(descriptor)

    def _runs(self, epoch: int) -> Iterator[tuple[int, int]]:
        """Marked cells, first and end, ascending by the first."""
        words, per = self._groups.all(), GROUP // 4
        for group in range(self._groups_count):
            any_, all_ = words[group * per], words[group * per + 1]
            base = group * CELLS
            if all_ >= epoch:
                yield base, base + CELLS
            elif any_ >= epoch:
                blocks = words[group * per + 2 : (group + 1) * per]
                cells = self._cells.element(group)
                yield from sorted(_marked(blocks, epoch, base, BLOCK) + _marked(cells, epoch, base, 1))


def _marked(words: memoryview, epoch: int, base: int, size: int) -> list[tuple[int, int]]:
    """The cells, first and end, of words that stand for `size` cells each."""
    places = [base + place * size for place, mark in enumerate(words) if mark >= epoch]
    return [(place, place + size) for place in places]


def create(size: int, cell: int, rows: int) -> KernelMaps:
    """Maps for a disk whose cells tell of `cell` bytes each; OSError if the kernel refuses."""
    groups = groups_of(size, cell)
    shapes = (("epoch", 8, 1), ("cells", 4 * CELLS, groups), ("groups", GROUP, groups))
    made: list[int] = []
    try:
        made.extend(_array(f"rehost_{name}", value, entries) for name, value, entries in shapes)
        made.append(system.create_map(system.PER_CPU_ARRAY, COUNTS, rows, 0, "rehost_counts"))
        epoch, cells, groups_map, counts = made
        maps = KernelMaps((epoch, cells, groups_map, counts), size, cell, rows)
    except BaseException:
        for descriptor in made:
            os.close(descriptor)
        raise
    maps.raise_epoch()  # to 1: a cell that was never marked has 0
    return maps


def cell_size_for(size: int, finest: int) -> int:
    """Bytes of a disk of `size` bytes that one cell tells of: as few as _MOST_CELLS allow, and not fewer than
    `finest`. Never more than a chunk: 16 KiB up to 64 GiB, 256 KiB at 1 TiB, 1 MiB from 4 TiB on."""
    cell = finest
    while cell < chunk_size_for(size) and cell * _MOST_CELLS < size:
        cell *= 2
    return cell


def groups_of(size: int, cell: int) -> int:
    return chunk_count(chunk_count(size, cell), CELLS)


def possible_cpus(text: str | None = None) -> int:
    """How many values a per-CPU element has: the kernel's list of possible CPUs, such as 0-3 or 0,2-5."""
    text = Path("/sys/devices/system/cpu/possible").read_text() if text is None else text
    ends = [part.split("-")[-1] for part in text.strip().split(",")]
    starts = [part.split("-")[0] for part in text.strip().split(",")]
    return sum(int(end) - int(start) + 1 for start, end in zip(starts, ends, strict=True))


def _array(name: str, value: int, entries: int) -> int:
    try:
        return system.create_map(system.ARRAY, value, entries, system.MAPPABLE, name)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return system.create_map(system.ARRAY, value, entries, 0, name)  # before Linux 5.5
