"""How long a freeze would be if it began now: what it costs in any case, and what its bytes take. Pure.

Why it is predicted so: docs/decisions/0014.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rehost.core.roundreport import RoundReport
from rehost.core.units import bytes_text, rate_text

_TOLD = 0.005  # seconds: less is not worth a word


@dataclass(frozen=True, slots=True)
class FreezeBefore:
    """What the freeze of the job's run before has shown; all 0: there was none."""

    standing: float = 0.0  # seconds that it took to freeze and to thaw the file systems
    lead: float = 0.0  # seconds from the decision to the freeze: hooks, the start of the watchdog


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds for which a final round would hold the source."""

    standing: float  # until the file systems are frozen, and until they are thawed
    looking: float  # marks of write tracking, maps of used blocks
    comparing: float  # reading the disks of which nobody knows what was written
    asking: float  # waiting for the receiver's answers
    reading: float  # what was written since the last round began
    working: float  # digests, compression and encryption of that
    sending: float  # waiting for the network

    @property
    def fixed(self) -> float:
        """What no other round makes shorter."""
        return self.standing + self.looking + self.comparing

    @property
    def variable(self) -> float:
        return self.asking + self.reading + self.working + self.sending

    @property
    def seconds(self) -> float:
        return self.fixed + self.variable

    def fixed_text(self) -> str:
        """What no other round makes shorter, for people; empty if that is nothing."""
        parts = {
            "to freeze and thaw the file systems": self.standing,
            "for maps of used blocks": self.looking,
            "to compare disks whose writes are not tracked": self.comparing,
        }
        return " and ".join(f"{part:.2g} s {what}" for what, part in parts.items() if part >= _TOLD)


def forecast(done: Sequence[RoundReport], buffered: int, before: FreezeBefore) -> Forecast:
    """By what the rounds so far, at least one, have measured; by their best rates.

    `buffered`: bytes that the streams take from a freeze without waiting for the network.
    """
    last = done[-1]
    rising = before.lead / last.seconds if last.seconds > 0 else 0.0
    touched = max(last.touched, last.backlog) * (1 + rising)
    return Forecast(
        standing=max(before.standing, last.syncing),
        looking=last.looking,
        comparing=_seconds(last.untracked, read_rate(done)),
        asking=last.answer * last.trips,
        reading=_seconds(touched, read_rate(done)),
        working=_seconds(touched, work_rate(done)),
        sending=_seconds(max(0, last.left + last.backlog * rising - buffered), send_rate(done)),
    )


def forecast_text(expected: Forecast, done: Sequence[RoundReport]) -> str:
    last = done[-1]
    text = (
        f"{expected.seconds:.2g} s expected for {bytes_text(last.backlog + last.untracked)} to be read at "
        f"{rate_text(read_rate(done))} and {bytes_text(last.left)} to be sent at {rate_text(send_rate(done))}"
    )
    fixed = expected.fixed_text()
    return f"{text}, {fixed} among them" if fixed else text


def read_rate(done: Sequence[RoundReport]) -> float:
    """Bytes a second, at its best: of one stream while it reads, or of a whole round; 0: nothing was read."""
    spent = [(past, seconds) for past in done for seconds in (past.reading, past.seconds)]
    return max((past.read / seconds for past, seconds in spent if seconds > 0), default=0.0)


def work_rate(done: Sequence[RoundReport]) -> float:
    """Bytes read for each second of CPU, lately: what is scattered costs more; 0 if nothing was read."""
    return next((past.read / past.working for past in reversed(done) if past.read and past.working), 0.0)


def send_rate(done: Sequence[RoundReport]) -> float:
    """Bytes of content a second, at its best, before they are compressed; 0 if nothing was sent."""
    return max((past.content / past.seconds for past in done if past.seconds > 0), default=0.0)


def dirty_rate(done: Sequence[RoundReport]) -> float:
    """Bytes of chunks a second that were written during the last round."""
    return _rate(done[-1].left, done[-1].seconds)


def _rate(size: int, seconds: float) -> float:
    return size / seconds if seconds > 0 else 0.0


def _seconds(size: float, rate: float) -> float:
    return size / rate if rate else 0.0
