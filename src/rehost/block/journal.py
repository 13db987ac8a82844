"""The journal of a volume: for each chunk the digest of what is durable, or ABSENT.

Every layer has its own. In the file an entry of zeroes says "nothing in this layer, look below", one of ones
"forgotten": what this layer has of the chunk is not known, whatever is below it. Read through `Journal` both
turn into what they mean.
"""

from collections.abc import Iterator
from pathlib import Path

from rehost.block.device import Device
from rehost.block.file import FileDevice, open_volume
from rehost.block.linux import data_extents
from rehost.core.digest import ABSENT, SIZE, SPAN, split
from rehost.core.errors import VolumeError
from rehost.core.extent import chunks_of

FORGOTTEN = b"\xff" * SIZE

_BLOCK = 32768  # chunks that are looked at together


class Journal:
    """An array of digests on a device. An entry is 32 aligned bytes: within one sector, it never tears."""

    def __init__(self, device: Device, below: "Journal | None" = None) -> None:
        self._device = device
        self._below = below
        self.chunks = device.size // SIZE

    def read(self, first: int, count: int) -> bytes:
        """The digests of `count` chunks, joined."""
        entries = self._own(first, count)
        if self._below is not None and ABSENT in entries:
            entries = _laid_over(entries, self._below.read(first, count))
        return _without_forgotten(entries) if FORGOTTEN in entries else entries

    def only_lowest(self, chunk: int) -> bool:
        """No layer above the lowest has anything of a chunk."""
        return self._below is None or (self._own(chunk, 1) == ABSENT and self._below.only_lowest(chunk))

    def has_any(self, first: int, count: int) -> bool:
        return self.read(first, count) != ABSENT * count

    def put(self, first: int, digests: bytes) -> None:
        self._device.write(first * SIZE, digests)

    def forget(self, first: int, count: int) -> None:
        """Nothing durable, here nor below."""
        self.put(first, (ABSENT if self._below is None else FORGOTTEN) * count)

    def flush(self) -> None:
        self._device.flush()

    def close(self) -> None:
        """Those below stay open."""
        self._device.close()

    @property
    def fresh(self) -> bool:
        """No chunk is durable yet."""
        return self._below is None and all(block == bytes(len(block)) for block in self._blocks())

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """What this layer's own file has: chunks and their entries, forgotten ones too."""
        for span in self.spans():
            own = self._own(span * SPAN, self._length(span))
            for chunk, entry in enumerate(split(own), span * SPAN):
                if entry != ABSENT:
                    yield chunk, entry

    def spans(self) -> Iterator[int]:
        """The spans in which this layer may have something of its own; all, where the device has no holes."""
        if isinstance(self._device, FileDevice):
            yield from chunks_of(data_extents(self._device.fileno(), self._device.size), SPAN * SIZE)
        else:
            yield from range(-(-self.chunks // SPAN))

    def span(self, number: int) -> bytes:
        """The digests of a span's chunks, joined as the tree's subtrees take them."""
        return self.read(number * SPAN, self._length(number))

    def _length(self, span: int) -> int:
        return min(SPAN, self.chunks - span * SPAN)

    def _own(self, first: int, count: int) -> bytes:
        entries = bytearray(count * SIZE)
        self._device.read_into(first * SIZE, memoryview(entries))
        return bytes(entries)

    def _blocks(self) -> Iterator[bytes]:
        for first in range(0, self.chunks, _BLOCK):
            yield self._own(first, min(_BLOCK, self.chunks - first))


def open_journal(path: Path, chunks: int, below: Journal | None = None) -> Journal:
    """VolumeError if it is not there, or of another length."""
    device = open_volume(path)
    if device.size != chunks * SIZE:
        device.close()
        raise VolumeError(
            f"{path} has {device.size} bytes, {chunks} chunks need {chunks * SIZE}",
            "the replica is damaged: delete the job and create it again",
        )
    return Journal(device, below)


def _laid_over(entries: bytes, below: bytes) -> bytes:
    if entries == bytes(len(entries)):
        return below
    result = bytearray(entries)
    for start in range(0, len(entries), SIZE):
        if entries[start : start + SIZE] == ABSENT:
            result[start : start + SIZE] = below[start : start + SIZE]
    return bytes(result)


def _without_forgotten(entries: bytes) -> bytes:
    result = bytearray(entries)
    for start in range(0, len(entries), SIZE):
        if entries[start : start + SIZE] == FORGOTTEN:
            result[start : start + SIZE] = ABSENT
    return bytes(result)
