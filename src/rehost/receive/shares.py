"""The bandwidth of a receiver, in equal shares for the runs that use it now."""

import threading
import time
from collections.abc import Callable

from rehost.core.bucket import Bucket

IDLE = 2.0  # seconds without a byte after which a run leaves its share to the others
_KILOBYTE = 1024


class Shares:
    """What one run does not use the others have. Connections of a run share its part."""

    def __init__(self, kilobytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`kilobytes`: a second, of all runs together; 0: no limit."""
        self._rate = float(kilobytes * _KILOBYTE)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._used: dict[str, float] = {}  # when each run took bytes or waited for them last
        self._lock = threading.Lock()

    def take(self, run: str, amount: int) -> None:
        """So many bytes came."""
        if not self._rate or not amount:
            return
        with self._lock:
            self._buckets[run] = self._paid(run, self._clock()).take(amount)

    def wait(self, run: str) -> float:
        """Seconds, as things are now, until the run may take more."""
        if not self._rate:
            return 0.0
        with self._lock:
            bucket = self._buckets.get(run)
            if bucket is None or bucket.paid >= bucket.taken:
                return 0.0
            bucket = self._buckets[run] = self._paid(run, self._clock())
            return bucket.wait(bucket.taken, self._share)

    def _paid(self, run: str, now: float) -> Bucket:
        """Up to now at the share that holds now; the run counts among those that share."""
        self._used[run] = now
        for idle in [name for name, at in self._used.items() if now - at > IDLE]:
            del self._used[idle]
            self._buckets.pop(idle, None)
        return self._buckets.get(run, Bucket(at=now)).paid_by(now, self._share)

    @property
    def _share(self) -> float:
        return self._rate / len(self._used)
