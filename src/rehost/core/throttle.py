"""Token buckets, pure: how many requests somebody may send, and when the next one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a second on average, and so many at once after a pause."""

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.burst < 1:
            raise ValueError("a rate has per_second above 0 and a burst of at least 1")


def take(full_at: float, now: float, rate: Rate) -> tuple[float, float]:
    """Take one token of a bucket that is full again at `full_at`.

    The new `full_at`, and 0; or the old one, and the seconds until there is a token.
    """
    step = 1 / rate.per_second
    after = max(full_at, now) + step
    wait = after - now - rate.burst * step
    return (after, 0.0) if wait <= 1e-9 else (full_at, wait)
