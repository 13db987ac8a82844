"""A token bucket: pure arithmetic, and a lock around it for the streams of a run."""

import threading
import time
from dataclasses import dataclass, replace

_BURST = 0.25  # seconds' worth of bytes that may go at once after a pause


@dataclass(frozen=True, slots=True)
class Bucket:
    rate: float  # bytes a second
    level: float  # bytes that may go now; negative: a debt that time pays
    at: float  # seconds, when the level was that

    @property
    def most(self) -> float:
        return self.rate * _BURST


def take(bucket: Bucket, amount: int, now: float) -> tuple[Bucket, float]:
    """Take bytes out; the seconds to wait before they may go."""
    level = min(bucket.most, bucket.level + (now - bucket.at) * bucket.rate)
    wait = max(0.0, -level / bucket.rate)
    return replace(bucket, level=level - amount, at=now), wait


class Limit:
    """The bandwidth limit of a run, shared by its streams; 0 KB/s is no limit."""

    def __init__(self, kilobytes: int) -> None:
        rate = kilobytes * 1024.0
        self._bucket = Bucket(rate, 0.0, time.monotonic()) if rate else None
        self._lock = threading.Lock()
        self.lifted = False  # inside a freeze bytes go at once, and the time after it pays for them

    @property
    def rate(self) -> float | None:
        """Bytes a second; None: no limit."""
        return self._bucket.rate if self._bucket else None

    def reserve(self, amount: int) -> float:
        """Take bytes out; the monotonic time at which they may go."""
        now = time.monotonic()
        if self._bucket is None:
            return now
        with self._lock:
            self._bucket, wait = take(self._bucket, amount, now)
        return now if self.lifted else now + wait
