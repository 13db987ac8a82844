"""One volume of a replica: a device, its journal, and the steps of a durable write."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rehost.block.device import Device
from rehost.block.journal import Journal
from rehost.core import digest
from rehost.core.errors import InvalidValueError, ReplicaIncompleteError
from rehost.core.extent import chunk_count, chunk_extent


@dataclass(frozen=True, slots=True)
class VolumeShape:
    volume: int  # its number, the source's disk index
    size: int  # bytes
    chunk: int  # bytes per chunk

    @property
    def chunks(self) -> int:
        return chunk_count(self.size, self.chunk)

    @property
    def journal_size(self) -> int:
        return self.chunks * digest.SIZE

    def length(self, chunk: int) -> int:
        """Bytes of one chunk's content; InvalidValueError if there is no such chunk."""
        self.check_chunks(chunk, 1)
        return len(chunk_extent(chunk, self.chunk, self.size))

    def check_chunks(self, first: int, count: int) -> None:
        if first < 0 or count < 1 or first + count > self.chunks:
            what = f"volume {self.volume} has {self.chunks} chunks, not {first} to {first + count - 1}"
            raise InvalidValueError(what)

    def data_path(self, replica: Path) -> Path:
        return replica / f"disk-{self.volume}.raw"

    def journal_path(self, replica: Path) -> Path:
        return replica / f"disk-{self.volume}.digests"


@dataclass(frozen=True, slots=True)
class ChunkWrite:
    """One whole chunk and its digest."""

    volume: int
    first: int
    digest: bytes
    content: bytes | memoryview

    @property
    def count(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class ZeroWrite:
    """Whole chunks that become zeroes."""

    volume: int
    first: int
    count: int


Write = ChunkWrite | ZeroWrite


def disjoint(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """The writes in order, in groups in which no chunk is written twice; one group as a rule."""
    group: list[Write] = []
    touched: defaultdict[int, set[int]] = defaultdict(set)
    for write in writes:
        chunks = range(write.first, write.first + write.count)
        if not touched[write.volume].isdisjoint(chunks):
            yield group
            group = []
            touched.clear()
        touched[write.volume].update(chunks)
        group.append(write)
    if group:
        yield group


class Volume:
    def __init__(self, shape: VolumeShape, device: Device, journal: Journal) -> None:
        self.shape = shape
        self.device = device
        self.journal = journal

    def forget(self, write: Write) -> bool:
        """Take what the write overwrites out of the journal; False if nothing was in it."""
        present = self.journal.has_any(write.first, write.count)
        if present:
            self.journal.forget(write.first, write.count)
        return present

    def write(self, write: Write) -> None:
        start = write.first * self.shape.chunk
        if isinstance(write, ChunkWrite):
            self.device.write(start, write.content)
        else:
            self.device.zero(start, min(write.count * self.shape.chunk, self.shape.size - start))

    def record(self, write: Write) -> None:
        if isinstance(write, ChunkWrite):
            self.journal.put(write.first, write.digest)
        else:
            self.journal.put(write.first, self._zero_digests(write))

    def _zero_digests(self, write: ZeroWrite) -> bytes:
        last = write.first + write.count - 1
        whole = digest.of_zeroes(self.shape.chunk) if write.count > 1 else b""
        return whole * (write.count - 1) + digest.of_zeroes(self.shape.length(last))

    def digests(self, first: int, count: int) -> bytes:
        """The journal's entries of chunks that must be there."""
        self.shape.check_chunks(first, count)
        return self.journal.read(first, count)

    def root(self) -> bytes:
        """The root over the journal; ReplicaIncompleteError if a chunk is absent."""
        return digest.root_of_subtrees(map(self._subtree, self.journal.spans()), self.shape.size)

    def _subtree(self, entries: bytes) -> bytes:
        if digest.ABSENT in digest.split(entries):
            raise ReplicaIncompleteError(
                f"volume {self.shape.volume} lacks chunks that were not sent or not durable",
                "start the job again: what is missing is copied",
            )
        return digest.subtree(entries)

    def close(self) -> None:
        self.device.close()
        self.journal.close()
