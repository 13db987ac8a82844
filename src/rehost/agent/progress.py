"""A run's figures once a second, from a thread that nothing waits for."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rehost.agent.copy.tally import DiskTally, Tally
from rehost.core.agentapi import DiskProgress, Phase, Progress

INTERVAL = 1.0  # seconds
_WINDOW = 10.0  # seconds over which rates are taken
_SHARE = 50  # a look at what was written meanwhile is taken again after so many times what it took


class Watched(Protocol):
    """What figures are taken from besides the tally, at any time; disks are named by their volume."""

    def pending(self, volume: int) -> int | None:
        """Bytes that were written since the round began; None: nobody knows."""

    def unreadable(self, volume: int) -> int:
        """Bytes that the disk does not give."""


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


class Backlog:
    """What was written meanwhile, looked up seldom enough to cost nothing: a large map takes its time."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, int | None] = {}
        self._again: dict[int, float] = {}

    def of(self, volume: int, now: float) -> int | None:
        if now >= self._again.get(volume, now):
            began = time.monotonic()
            self._known[volume] = self._watched.pending(volume)
            self._again[volume] = now + _SHARE * (time.monotonic() - began)
        return self._known[volume]


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

    def __init__(
        self,
        run: str,
        generation: int,
        tally: Tally,
        watched: Watched,
        progress: Callable[[Progress], None],
    ) -> None:
        self._run, self._generation = run, generation
        self._tally, self._watched = tally, watched
        self._progress = progress
        self._backlog = Backlog(watched)
        self._rates: dict[tuple[int, str], Rate] = {}
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
        tally = self._tally
        return Progress(self._run, self._generation, tally.phase, tally.round, tally.kind, disks, tally.note)

    def _disk(self, volume: int, disk: DiskTally, now: float) -> DiskProgress:
        rate = self._rate(volume, "done", disk.done, now)
        copying = self._tally.phase is Phase.COPYING  # in a freeze nobody is to wait for such a look
        return DiskProgress(
            disk=volume,
            total=disk.total,
            done=min(disk.done, disk.total),
            read=disk.read,
            sent=disk.sent,
            changed=disk.changed,
            rate=rate,
            eta=eta(disk, rate),
            send_rate=self._rate(volume, "sent", disk.sent, now),
            backlog=self._backlog.of(volume, now) if copying else None,
            unreadable=self._watched.unreadable(volume),
        )

    def _rate(self, volume: int, what: str, count: int, now: float) -> float:
        return self._rates.setdefault((volume, what), Rate()).add(count, now)
