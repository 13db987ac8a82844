"""A token bucket of bytes: pure arithmetic."""

from dataclasses import dataclass, replace

_BURST = 0.25  # seconds' worth of bytes that may go at once after a pause


@dataclass(frozen=True, slots=True)
class Bucket:
    """Counts bytes from the beginning: those given out, and those that time has paid for.

    Whoever takes bytes out has to wait until all bytes before them are paid, at whatever rate that is by
    then: so a limit that changes holds for what waits already.
    """

    taken: float = 0.0
    paid: float = 0.0
    at: float = 0.0  # seconds, when that was paid

    def paid_by(self, now: float, rate: float) -> "Bucket":
        """At `rate` bytes a second since `at`; not more than a burst ahead of what is taken."""
        paid = min(self.paid + (now - self.at) * rate, self.taken + rate * _BURST)
        return replace(self, paid=max(paid, self.paid), at=now)

    def take(self, amount: int) -> "Bucket":
        return replace(self, taken=self.taken + amount)

    def wait(self, before: float, rate: float) -> float:
        """Seconds until all bytes before these are paid."""
        return max(0.0, (before - self.paid) / rate)
