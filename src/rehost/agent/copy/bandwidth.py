"""The bandwidth limit of a run: a token bucket, and a lock around it for the streams."""

import threading
import time
from collections.abc import Callable, Sequence

from rehost.core.bandwidth import Window, limit_at
from rehost.core.bucket import Bucket

_PIECE = 0.05  # seconds' worth of bytes that go together: a whole chunk would be half a second of 512 KB/s
_LEAST = 4096  # bytes that go together
_KILOBYTE = 1024


def minute_of_day() -> int:
    """In local time."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


class Limit:
    """The bandwidth limit of a run, shared by its streams; 0 KB/s is no limit."""

    def __init__(
        self, kilobytes: int, windows: Sequence[Window] = (), minute: Callable[[], int] = minute_of_day
    ) -> None:
        """`kilobytes` outside the windows; `minute` tells the minute of the day."""
        self._otherwise, self._windows, self._minute = kilobytes, tuple(windows), minute
        self._bucket = Bucket(at=time.monotonic())
        self._lock = threading.Lock()
        self.lifted = False  # inside a freeze bytes go at once, and the time after it pays for them

    def reserve(self, amount: int) -> float:
        """Take bytes out; how many were taken before them, for `wait`."""
        with self._lock:
            before = self._bucket.taken
            self._bucket = self._bucket.take(amount)
            return before

    def wait(self, before: float) -> float:
        """The seconds to wait, as things are now, before reserved bytes may go."""
        rate = self.rate
        with self._lock:
            if not rate:
                self._bucket = Bucket(self._bucket.taken, self._bucket.taken, time.monotonic())
                return 0.0
            self._bucket = self._bucket.paid_by(time.monotonic(), rate)
            return 0.0 if self.lifted else self._bucket.wait(before, rate)

    def piece(self, left: int) -> int:
        """How many of so many bytes go together."""
        return min(left, max(_LEAST, int(self.rate * _PIECE))) if self.rate and not self.lifted else left

    @property
    def rate(self) -> float:
        """Bytes a second now; 0: no limit."""
        minute = self._minute() if self._windows else 0
        return float(limit_at(self._windows, self._otherwise, minute) * _KILOBYTE)


class Pace:
    """See `wire.channel.Pace`; `check` is asked before each wait, and raises what ends it."""

    def __init__(self, limit: Limit, left: int, check: Callable[[], None]) -> None:
        self._limit, self._check = limit, check
        self.take(left)

    def take(self, left: int) -> None:
        self.size = self._limit.piece(left)
        self._place = self._limit.reserve(self.size)

    def wait(self) -> float:
        self._check()
        return self._limit.wait(self._place)
