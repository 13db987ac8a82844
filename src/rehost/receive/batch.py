"""What a connection has received and not yet made durable."""

from dataclasses import replace
from typing import Protocol

from rehost.block.linux import aligned_buffer
from rehost.block.volume import ChunkWrite, PatchWrite, Write, ZeroWrite
from rehost.core.digest import SIZE
from rehost.wire.messages import MAX_CHUNK

FULL = 8 << 20  # bytes of content and journal that make a batch go to the disk
PATIENCE = 0.1  # seconds that an unfinished batch waits at most


class Lender(Protocol):
    """Has buffers with room for a full batch, see `receive.buffers`."""

    def take(self) -> memoryview:
        """One of them; waits until there is one."""

    def give_back(self, buffer: memoryview) -> None: ...


class Batch:
    """Writes in order. Content is copied into buffers that are used again and again: to allocate each chunk
    anew made the kernel map and clear its pages each time, half of the time.

    A slow connection never has more than its own small one; a fast one is lent another, until `give_back`.
    """

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self._own = self._buffer = aligned_buffer(MAX_CHUNK)
        self._used = 0
        self._weight = 0
        self._since = 0.0
        self.writes: list[Write] = []
        self.last_seq = 0

    def due(self, now: float) -> bool:
        """Full, or old enough."""
        return bool(self.writes) and (self._weight >= FULL or now - self._since >= PATIENCE)

    def add_chunk(
        self, seq: int, volume: int, chunk: int, digest: bytes, content: bytes | memoryview, now: float
    ) -> None:
        """Keep a copy of the content; the batch must not be full."""
        self._make_room(len(content))
        self._add(seq, ChunkWrite(volume, chunk, digest, self._keep(content)), len(content) + SIZE, now)

    def add_patch(self, seq: int, write: PatchWrite, now: float) -> None:
        """Keep a copy of the pieces; the batch must not be full."""
        size = sum(len(content) for _, content in write.pieces)
        self._make_room(size)
        kept = tuple((at, self._keep(content)) for at, content in write.pieces)
        self._add(seq, replace(write, pieces=kept), SIZE + size, now)

    def add_zeroes(self, seq: int, write: ZeroWrite, now: float) -> None:
        self._add(seq, write, write.count * SIZE, now)

    def touches(self, volume: int, first: int, count: int) -> bool:
        """Whether any of the writes does."""
        return any(
            write.volume == volume and write.first < first + count and first < write.first + write.count
            for write in self.writes
        )

    def take(self) -> list[Write]:
        """The writes, which lend their content until `give_back`; the batch is empty then."""
        writes, self.writes = self.writes, []
        self._weight = 0
        return writes

    def give_back(self) -> None:
        """The buffer that was lent, with whatever is in it."""
        if self._buffer is not self._own:
            self._lender.give_back(self._buffer)
            self._buffer = self._own
        self._used = 0

    def _make_room(self, size: int) -> None:
        if self._used + size > len(self._buffer):
            self._buffer, self._used = self._lender.take(), 0

    def _keep(self, content: bytes | memoryview) -> memoryview:
        kept = self._buffer[self._used : self._used + len(content)]
        kept[:] = content
        self._used += len(content)
        return kept

    def _add(self, seq: int, write: Write, weight: int, now: float) -> None:
        if not self.writes:
            self._since = now
        self.writes.append(write)
        self._weight += weight
        self.last_seq = seq

    @property
    def full(self) -> bool:
        return self._weight >= FULL
