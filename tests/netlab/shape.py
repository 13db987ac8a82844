"""What a link does to packets, as arithmetic: rate, delay, loss, and a black hole. No I/O, no clock."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_QUEUED = 0.1  # seconds' worth of bytes that wait for the rate before packets are dropped
_LEAST_QUEUE = 512 << 10  # bytes: a few of the largest packets


@dataclass(frozen=True, slots=True)
class Shape:
    """Of each direction."""

    rate: float = 0.0  # bytes a second on the wire, 0: as fast as can be
    delay: float = 0.0  # seconds one way
    loss: float = 0.0  # of each packet, a probability
    black_hole: bool = False  # nothing arrives, and nobody is told


class Pipe:
    """One direction: packets go in, and come out in order when the shape lets them."""

    def __init__(self, shape: Shape, random: Callable[[], float]) -> None:
        """`random` gives numbers from 0 to below 1."""
        self.shape = shape
        self._random = random
        self._free_at = 0.0  # when the last packet has left
        self._queue: deque[tuple[float, bytes]] = deque()

    def offer(self, packet: bytes, size: int, now: float) -> None:
        """A packet that takes `size` bytes of the wire; it may be dropped."""
        if self.shape.black_hole or self._random() < self.shape.loss or self._is_full(now):
            return
        if self.shape.rate:
            self._free_at = max(self._free_at, now) + size / self.shape.rate
        self._queue.append((max(self._free_at, now) + self.shape.delay, packet))

    def due(self, now: float) -> list[bytes]:
        """What has arrived by now."""
        arrived = []
        while self._queue and self._queue[0][0] <= now:
            arrived.append(self._queue.popleft()[1])
        return [] if self.shape.black_hole else arrived

    @property
    def next_at(self) -> float | None:
        """When the next packet arrives."""
        return self._queue[0][0] if self._queue else None

    def _is_full(self, now: float) -> bool:
        rate = self.shape.rate
        return bool(rate) and (self._free_at - now) * rate > max(_LEAST_QUEUE, rate * _QUEUED)
