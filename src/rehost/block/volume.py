"""One volume of a replica: its shape, what is written to it, and its journal."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rehost.block.journal import Journal
from rehost.core import digest
from rehost.core.digest import SPAN
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
class PatchWrite:
    """What changes in one chunk, and the digest of all of it afterwards."""

    volume: int
    first: int
    digest: bytes
    base: bytes  # the digest of what it is laid over
    pieces: tuple[tuple[int, bytes | memoryview], ...]  # where in the chunk, and what

    @property
    def count(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class ZeroWrite:
    """Whole chunks that become zeroes."""

    volume: int
    first: int
    count: int


Write = ChunkWrite | PatchWrite | ZeroWrite


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
    """The journal of a volume, seen from the topmost layer."""

    def __init__(self, shape: VolumeShape, journal: Journal, nodes_below: bytes = b"") -> None:
        """`nodes_below`: as `nodes`, of the layer below; empty if there is none."""
        self.shape = shape
        self.journal = journal
        self._nodes_below = nodes_below

    def forget(self, write: Write) -> bool:
        """Take what the write overwrites out of the journal; False if nothing was in it."""
        present = self.journal.has_any(write.first, write.count)
        if present:
            self.journal.forget(write.first, write.count)
        return present

    def record(self, write: Write) -> None:
        if isinstance(write, ZeroWrite):
            self.journal.put(write.first, self._zero_digests(write))
        else:
            self.journal.put(write.first, write.digest)

    def _zero_digests(self, write: ZeroWrite) -> bytes:
        last = write.first + write.count - 1
        whole = digest.of_zeroes(self.shape.chunk) if write.count > 1 else b""
        return whole * (write.count - 1) + digest.of_zeroes(self.shape.length(last))

    def digests(self, first: int, count: int) -> bytes:
        """The journal's entries of chunks that must be there."""
        self.shape.check_chunks(first, count)
        return self.journal.read(first, count)

    def root(self, nodes: bytes) -> bytes:
        """The root over the journal, from its `nodes`."""
        return digest.root_of_subtrees(digest.split(nodes), self.shape.size)

    def nodes(self) -> bytes:
        """The tree's nodes over each span of chunks, joined; ReplicaIncompleteError if a chunk is absent.

        Only spans that this layer touched are computed: a root costs what changed.
        """
        nodes = bytearray(self._nodes_below or bytes(chunk_count(self.shape.chunks, SPAN) * digest.SIZE))
        own = self.journal.spans() if self._nodes_below else range(chunk_count(self.shape.chunks, SPAN))
        for span in own:
            node = self._subtree(self.journal.span(span))
            nodes[span * digest.SIZE : (span + 1) * digest.SIZE] = node
        return bytes(nodes)

    def _subtree(self, entries: bytes) -> bytes:
        if digest.ABSENT in digest.split(entries):
            raise ReplicaIncompleteError(
                f"volume {self.shape.volume} lacks chunks that were not sent or not durable",
                "start the job again: what is missing is copied",
            )
        return digest.subtree(entries)
