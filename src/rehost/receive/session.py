"""What one connection does to a replica, without I/O of the network: messages in, answers out."""

from collections.abc import Callable
from dataclasses import dataclass

from rehost.block.room import room_at
from rehost.block.volume import ChunkWrite, PatchWrite, Write, ZeroWrite
from rehost.block.writer import ReplicaWriter
from rehost.core import digest, pages
from rehost.core.errors import (
    DigestMismatchError,
    InvalidValueError,
    PatchRefusedError,
    TicketError,
    VolumeFullError,
    WireError,
)
from rehost.receive.batch import Batch, Lender
from rehost.receive.ticket import Ticket
from rehost.wire import messages as m
from rehost.wire.codec import UPGRADE
from rehost.wire.payload import Unpacker

WINDOW = 16 << 20  # bytes of frames that a connection may have unacknowledged


@dataclass(frozen=True, slots=True)
class Admission:
    """A verified ticket and the open replica that it is for."""

    ticket: Ticket
    replica: ReplicaWriter


class Session:
    """`handle` each message and send what it returns; `commit` when `due`, and when the peer falls silent.

    Any error it raises ends the connection. Nothing that was lent is kept.
    """

    def __init__(self, admit: Callable[[m.Hello], Admission], buffers: Lender) -> None:
        """`admit` verifies a Hello's ticket and opens the replica, or raises a TicketError."""
        self._admit = admit
        self._admission: Admission | None = None
        self._unpacker = Unpacker()
        self._batch = Batch(buffers)
        self.done = False
        self.chunks = self.zeroes = 0  # chunks made durable

    @property
    def pending(self) -> bool:
        """There is something to commit."""
        return bool(self._batch.writes)

    def due(self, now: float) -> bool:
        """The batch is full or old enough; `now` in seconds of the clock that `handle` is given."""
        return self._batch.due(now)

    def check(self) -> None:
        """TicketStaleError once the ticket is of no use any more; nothing before there is one."""
        if self._admission is not None:
            self._admission.replica.check(self._admission.ticket.generation)

    def handle(self, message: m.Message, now: float) -> list[m.Message]:
        match message:
            case m.Hello():
                return [self._welcome(message)]
            case m.Data():
                self._add_chunk(message, now)
            case m.Zero():
                self._add_zeroes(message, now)
            case m.Patch():
                self._add_patch(message, now)
            case m.DigestsRequest():
                touched = self._batch.touches(message.volume, message.first, message.count)
                return [*(self.commit() if touched else ()), self._digests(message)]
            case m.Complete():
                return [self._complete()]
        return self.commit() if self._batch.full else []

    def commit(self) -> list[m.Message]:
        """Make what is pending durable; the Ack for it."""
        if not self.pending:
            return []
        writes = self._batch.take()
        try:
            self._check_room(sum(map(_room_for, writes)))
            self._open.replica.commit(self._open.ticket.generation, writes)
        finally:
            self._batch.give_back()
        self.chunks += sum(not isinstance(write, ZeroWrite) for write in writes)
        self.zeroes += sum(write.count for write in writes if isinstance(write, ZeroWrite))
        return [m.Ack(self._batch.last_seq)]

    def close(self) -> None:
        """What is not committed is lost."""
        self._batch.give_back()

    def _check_room(self, needed: int) -> None:
        """Before the file system is full: whoever has to say that it is needs some room for it."""
        folder = self._open.replica.path.parent  # which stays if the replica is taken away meanwhile
        room = room_at(folder)
        if needed > room.left:
            raise VolumeFullError(
                f"{folder} has no room for {needed} bytes more: {room.free} are free there,"
                f" of which {room.kept} are kept for the control plane's own records",
                "make room on the file system that holds the data folder, then start the job again",
            )

    @property
    def _open(self) -> Admission:
        if self._admission is None:
            raise WireError("no ticket was shown", UPGRADE)
        return self._admission

    def _welcome(self, hello: m.Hello) -> m.Welcome:
        if hello.version < 1:
            raise WireError(f"version {hello.version} of the protocol", UPGRADE)
        self._admission = admission = self._admit(hello)
        replica = admission.replica
        told = tuple((v.volume, v.size, v.chunk) for v in admission.ticket.volumes)
        if told != tuple((v.volume, v.size, v.chunk) for v in replica.shapes):
            raise TicketError("the ticket names other volumes than the replica has", "start the job again")
        replica.check(admission.ticket.generation)
        volumes = (m.VolumeState(v.volume, v.size, v.chunk, replica.fresh(v.volume)) for v in replica.shapes)
        return m.Welcome(min(hello.version, m.VERSION), WINDOW, tuple(volumes))

    def _add_chunk(self, data: m.Data, now: float) -> None:
        length = self._open.replica.volume(data.volume).shape.length(data.chunk)
        if data.length != length:
            raise InvalidValueError(f"{data.length} bytes for a chunk of {length}", UPGRADE)
        self._batch.add_chunk(data.seq, data.volume, data.chunk, data.digest, self._content(data), now)

    def _add_patch(self, patch: m.Patch, now: float) -> None:
        """What is refused is forgotten, so that the agent finds it absent and sends all of it."""
        replica, content = self._open.replica, self._content(patch)
        length = replica.volume(patch.volume).shape.length(patch.chunk)
        if patch.pages > pages.every(length) or pages.size(patch.pages, length) != patch.length:
            raise InvalidValueError(f"{patch.length} bytes of pages of a chunk of {length}", UPGRADE)
        try:
            write = replica.patched(patch.volume, patch.chunk, patch.pages, content)
        except PatchRefusedError:
            replica.forget(self._open.ticket.generation, patch.volume, patch.chunk)
            raise
        self._batch.add_patch(patch.seq, write, now)

    def _content(self, data: m.Data | m.Patch) -> bytes | memoryview:
        content = self._unpacker.unpack(data.encoding, data.payload, data.length)
        if self._open.ticket.checksum and digest.of(content) != data.digest:
            raise DigestMismatchError(
                f"chunk {data.chunk} of volume {data.volume} does not have the digest it was sent with",
                "it was damaged on the way or in memory: test the memory of both hosts, start the job again",
            )
        return content

    def _add_zeroes(self, zero: m.Zero, now: float) -> None:
        self._open.replica.volume(zero.volume).shape.check_chunks(zero.first, zero.count)
        self._batch.add_zeroes(zero.seq, ZeroWrite(zero.volume, zero.first, zero.count), now)

    def _digests(self, request: m.DigestsRequest) -> m.Digests:
        found = self._open.replica.digests(request.volume, request.first, request.count)
        return m.Digests(request.volume, request.first, found)

    def _complete(self) -> m.Completed:
        self.check()
        completed = m.Completed(self._open.replica.roots())
        self.done = True
        return completed


def _room_for(write: Write) -> int:
    """Bytes that it writes."""
    match write:
        case ChunkWrite():
            return len(write.content)
        case PatchWrite():
            return sum(len(content) for _, content in write.pieces)
        case ZeroWrite():
            return 0
