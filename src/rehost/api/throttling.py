"""Who sends too much waits: a bucket of tokens for each access key, and one for each of its actions."""

import threading
import time
from collections.abc import Callable

from rehost.api import errors
from rehost.api.errors import ApiError
from rehost.api.limits import Limits
from rehost.core.throttle import Rate, take
from rehost.store.keys import AccessKey

_MOST_BUCKETS = 10_000  # then those that are full are forgotten, which changes nothing
_REFUSED = Rate(0.2, 20)  # requests by one key's name, that the audit trail tells of


class Throttle:
    """Safe to use from many threads. Its memory is bounded by the number of keys that are in use."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._full_at: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def check(self, key: AccessKey, action: str) -> None:
        """ApiError when the key has sent too much, or too much of this action.

        Temporary keys count as the one that asked for them: else it could have as many as it likes.
        """
        owner = key.issuer or key.id
        if wait := self._take((owner, ""), self._limits.per_key):
            raise _refused("Throttling.User", wait)
        rate = self._limits.actions.get(action, self._limits.per_action)
        if wait := self._take((owner, action), rate):
            raise _refused("Throttling.Api", wait)

    def tells_of_refusal(self, key: AccessKey) -> bool:
        """Whether one more that is not admitted is worth an entry: who guesses, repeats what is old or sends
        too much is not to fill the disk."""
        return not self._take((key.id, "refused"), _REFUSED)

    def _take(self, bucket: tuple[str, str], rate: Rate) -> float:
        """Seconds to wait; 0: the token is taken."""
        now = self._clock()
        with self._lock:
            full_at, wait = take(self._full_at.get(bucket, 0.0), now, rate)
            if bucket not in self._full_at and len(self._full_at) >= _MOST_BUCKETS:
                self._full_at = {name: full for name, full in self._full_at.items() if full > now}
            self._full_at[bucket] = full_at
        return wait


def _refused(code: str, wait: float) -> ApiError:
    advice = f"Wait {wait:.3f} s and send fewer requests; the control plane's limits.json has the limits."
    return errors.documented(code, recommend=advice, retry_after=wait)
