"""A session on a real replica, without a network, and what is said to it."""

import itertools
from pathlib import Path

from rehost.block.replica import create
from rehost.block.volume import VolumeShape
from rehost.block.writer import ReplicaWriter, open_writer
from rehost.core import digest
from rehost.receive.buffers import Buffers
from rehost.receive.session import Admission, Session
from rehost.receive.ticket import Ticket, TicketVolume
from rehost.wire import messages as m

CHUNK = 4096
SHAPES = (VolumeShape(0, 8 * CHUNK, CHUNK), VolumeShape(1, 2 * CHUNK + 512, CHUNK))


def ticket(generation: int = 1, checksum: bool = True, shapes: tuple[VolumeShape, ...] = SHAPES) -> Ticket:
    volumes = tuple(TicketVolume(v.volume, v.size, v.chunk) for v in shapes)
    return Ticket("job", "r-1", generation, volumes, checksum, 1 << 40)


class Talk:
    """A session that was let in, and the numbers of its frames."""

    def __init__(self, replica: ReplicaWriter, leave: Ticket) -> None:
        self.session = Session(lambda _: Admission(leave, replica), Buffers(1))
        (self.welcome,) = self.session.handle(m.Hello(1, "t", 0), 0.0)
        self._seq = itertools.count(1)

    def data(
        self, volume: int, chunk: int, content: bytes, now: float = 0.0, **other: object
    ) -> list[m.Message]:
        fields = {"digest": digest.of(content), "length": len(content), "payload": content, **other}
        message = m.Data(next(self._seq), volume, chunk, encoding=m.Encoding.RAW, **fields)  # type: ignore[arg-type]
        return self.session.handle(message, now)

    def zero(self, volume: int, first: int, count: int, now: float = 0.0) -> list[m.Message]:
        return self.session.handle(m.Zero(next(self._seq), volume, first, count), now)

    def patch(self, volume: int, chunk: int, pages: int, content: bytes, **other: object) -> list[m.Message]:
        fields = {"digest": digest.of(content), "length": len(content), "payload": content, **other}
        message = m.Patch(next(self._seq), volume, chunk, pages, encoding=m.Encoding.RAW, **fields)  # type: ignore[arg-type]
        return self.session.handle(message, 0.0)


def lone_volume(folder: Path, chunk: int, chunks: int) -> tuple[VolumeShape, ...]:
    shapes = (VolumeShape(0, chunk * chunks, chunk),)
    create(folder, shapes)
    with open_writer(folder) as replica:
        replica.raise_generation(1)
    return shapes
