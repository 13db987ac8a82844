"""What one connection does to a replica, without I/O of the network: messages in, answers out."""

from collections.abc import Callable
from dataclasses import dataclass

from rehost.block.replica import Replica
from rehost.block.volume import ChunkWrite, Write, ZeroWrite
from rehost.core import digest
from rehost.core.errors import DigestMismatchError, InvalidValueError, TicketError, WireError
from rehost.receive.ticket import Ticket
from rehost.wire import messages as m
from rehost.wire.codec import UPGRADE
from rehost.wire.payload import Unpacker

WINDOW = 16 << 20  # bytes of frames that a connection may have unacknowledged
FULL = 8 << 20  # bytes of content and journal that a batch holds at most, about
PATIENCE = 0.1  # seconds that an unfinished batch waits at most


@dataclass(frozen=True, slots=True)
class Admission:
    """A verified ticket and the open replica that it is for."""

    ticket: Ticket
    replica: Replica


class Session:
    """`handle` each message and send what it returns; `commit` when `due`, and when the peer falls silent.

    Any error it raises ends the connection. Nothing that was lent is kept.
    """

    def __init__(self, admit: Callable[[m.Hello], Admission]) -> None:
        """`admit` verifies a Hello's ticket and opens the replica, or raises a TicketError."""
        self._admit = admit
        self._admission: Admission | None = None
        self._unpacker = Unpacker()
        self._writes: list[Write] = []
        self._weight = 0
        self._seq = 0
        self._since = 0.0
        self.done = False
        self.chunks = self.zeroes = 0  # chunks made durable

    @property
    def pending(self) -> bool:
        """There is something to commit."""
        return bool(self._writes)

    def due(self, now: float) -> bool:
        """The batch is full or old enough; `now` in seconds of the clock that `handle` is given."""
        return self.pending and (self._weight >= FULL or now - self._since >= PATIENCE)

    def handle(self, message: m.Message, now: float) -> list[m.Message]:
        match message:
            case m.Hello():
                return [self._welcome(message)]
            case m.Data():
                self._add(self._chunk_write(message), message.seq, message.length, now)
            case m.Zero():
                self._add(self._zero_write(message), message.seq, message.count * digest.SIZE, now)
            case m.DigestsRequest():
                return [*self.commit(), self._digests(message)]
            case m.Complete():
                return [self._complete()]
        return []

    def commit(self) -> list[m.Message]:
        """Make what is pending durable; the Ack for it."""
        if not self.pending:
            return []
        writes, self._writes, self._weight = self._writes, [], 0
        self._open.replica.commit(self._open.ticket.generation, writes)
        self.chunks += sum(isinstance(write, ChunkWrite) for write in writes)
        self.zeroes += sum(write.count for write in writes if isinstance(write, ZeroWrite))
        return [m.Ack(self._seq)]

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
        replica.fence.check(admission.ticket.generation)
        volumes = (m.VolumeState(v.volume, v.size, v.chunk, replica.fresh(v.volume)) for v in replica.shapes)
        return m.Welcome(min(hello.version, m.VERSION), WINDOW, tuple(volumes))

    def _chunk_write(self, data: m.Data) -> ChunkWrite:
        length = self._open.replica.volume(data.volume).shape.length(data.chunk)
        if data.length != length:
            raise InvalidValueError(f"{data.length} bytes for a chunk of {length}", UPGRADE)
        content = self._unpacker.unpack(data.encoding, data.payload, data.length)
        if self._open.ticket.checksum and digest.of(content) != data.digest:
            raise DigestMismatchError(
                f"chunk {data.chunk} of volume {data.volume} does not have the digest it was sent with",
                "it was damaged on the way or in memory: test the memory of both hosts, start the job again",
            )
        return ChunkWrite(data.volume, data.chunk, data.digest, bytes(content))

    def _zero_write(self, zero: m.Zero) -> ZeroWrite:
        self._open.replica.volume(zero.volume).shape.check_chunks(zero.first, zero.count)
        return ZeroWrite(zero.volume, zero.first, zero.count)

    def _add(self, write: Write, seq: int, weight: int, now: float) -> None:
        if not self._writes:
            self._since = now
        self._writes.append(write)
        self._weight += weight
        self._seq = seq

    def _digests(self, request: m.DigestsRequest) -> m.Digests:
        found = self._open.replica.digests(request.volume, request.first, request.count)
        return m.Digests(request.volume, request.first, found)

    def _complete(self) -> m.Completed:
        self._open.replica.fence.check(self._open.ticket.generation)
        completed = m.Completed(self._open.replica.roots())
        self.done = True
        return completed
