"""A run's figures once a second, from a thread that nothing waits for."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rehost.agent.tally import DiskTally, Tally
from rehost.core.agentapi import DiskProgress, Progress

INTERVAL = 1.0  # seconds
_WINDOW = 10.0  # seconds over which the rate is taken


class Rate:
    """Bytes a second over the last seconds, from samples of a count that only starts anew at 0."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, count: int, now: float) -> float:
        if self._samples and count < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, count))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        begin, first = self._samples[0]
        return (count - first) / (now - begin) if now > begin else 0.0


def eta(disk: DiskTally, rate: float) -> float | None:
    """Seconds to the end of the round; None if nobody can know."""
    left = max(0, disk.total - disk.done)
    if left == 0:
        return 0.0
    return left / rate if rate > 0 else None


class Reporting:
    """Offers figures to `progress` while it is entered.

    The callable must return soon and must not raise; the copy does not wait for it, not even at the end.
    """

    def __init__(self, run: str, generation: int, tally: Tally, progress: Callable[[Progress], None]) -> None:
        self._run, self._generation = run, generation
        self._tally = tally
        self._progress = progress
        self._rates: dict[int, Rate] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="figures", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(INTERVAL)

    def _loop(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._progress(self.figures(time.monotonic()))

    def figures(self, now: float) -> Progress:
        disks = tuple(self._disk(volume, disk, now) for volume, disk in self._tally.disks().items())
        return Progress(
            self._run, self._generation, self._tally.phase, self._tally.round, self._tally.kind, disks
        )

    def _disk(self, volume: int, disk: DiskTally, now: float) -> DiskProgress:
        rate = self._rates.setdefault(volume, Rate()).add(disk.done, now)
        return DiskProgress(
            volume,
            disk.total,
            min(disk.done, disk.total),
            disk.read,
            disk.sent,
            disk.changed,
            rate,
            eta(disk, rate),
        )
