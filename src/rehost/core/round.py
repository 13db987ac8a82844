"""Rounds of a run: the baseline, deltas while they shrink, then the final one under freeze. Pure.

A run that builds on the one before it begins with a delta: it looks at what was written since.

Before each round the length of the freeze is predicted as if it began now. Why it is predicted so:
docs/decisions/0014.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rehost.core.errors import FreezeError, NotConvergingError
from rehost.core.units import bytes_text, rate_text

SHRINKS = 0.75  # a round that leaves more than this part of what the one before left does not shrink

_ADVICE = (
    "raise freeze_deadline, bandwidth_limit or streams (ReplicationParameters), or start the job again when "
    "less is written to the source"
)


class RoundKind(StrEnum):
    BASELINE = "baseline"
    DELTA = "delta"
    FINAL = "final"


class NotConverging(StrEnum):
    """What a run does whose disks are written faster than they are sent."""

    FREEZE = "freeze"  # take the final round all the same, if it is expected to end before the deadline
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What one round did, over all disks of a run."""

    kind: RoundKind
    number: int  # from 1
    read: int  # bytes read from the source's disks
    changed: int  # bytes of chunks that differed from the replica
    sent: int  # bytes on the wire
    seconds: float
    content: int = 0  # bytes of the changed chunks that are not zero
    reading: float = 0.0  # seconds spent in reads, of all streams together
    backlog: int = 0  # bytes written meanwhile, on disks whose writes are tracked
    untracked: int = 0  # used bytes of the disks of which nobody knows what was written meanwhile
    touched: int = 0  # bytes of the chunks in which the backlog lies

    @property
    def left(self) -> int:
        """Bytes that may differ from the replica now; where nobody knows, as many as differed in it."""
        return self.backlog + (self.content if self.untracked else 0)


@dataclass(frozen=True, slots=True)
class RoundLimits:
    freeze_target: float = 1.0  # seconds: a freeze expected to be as short as that is taken
    freeze_deadline: float = 60.0  # seconds: one that is expected to be longer is not begun
    most_rounds: int = 10  # deltas at most
    not_converging: NotConverging = NotConverging.FREEZE
    buffered: int = 0  # bytes that the streams take from a freeze without waiting for the network


@dataclass(frozen=True, slots=True)
class Step:
    """The next round, and why a final one is taken now."""

    kind: RoundKind
    reason: str = ""


def next_round(done: Sequence[RoundReport], limits: RoundLimits) -> Step:
    """The round after those that are done, none of them final.

    Deltas go on while they shrink and the freeze is expected to be longer than its target.
    NotConvergingError when they do not shrink and the job wants no freeze then, FreezeError when the freeze
    would end at its deadline in vain.
    """
    if not done:
        return Step(RoundKind.BASELINE)
    deltas = sum(past.kind is RoundKind.DELTA for past in done)
    if not deltas:
        return Step(RoundKind.DELTA)
    if freeze_seconds(done, limits) <= limits.freeze_target:
        return _final(done, limits, f"within the target of {limits.freeze_target:g} s")
    if not _shortens(done, limits):
        return _final(done, limits, "no other round makes it shorter: what is not tracked is all compared")
    if not _shrinks(done):
        return _not_converging(done, limits)
    if deltas >= limits.most_rounds:
        return _final(done, limits, f"{deltas} deltas are done, and no more are allowed (most_rounds)")
    return Step(RoundKind.DELTA)


def freeze_seconds(done: Sequence[RoundReport], limits: RoundLimits) -> float:
    """How long a final round would hold the source if it began now, by the best rates so far.

    To read a little of a chunk counts as reading all of it: these rates are of whole chunks.
    """
    last = done[-1]
    return _reading(done, max(last.touched, last.backlog) + last.untracked) + _sending(done, limits)


def read_rate(done: Sequence[RoundReport]) -> float:
    """Bytes a second, at its best: of one stream while it reads, or of a whole round; 0: nothing was read."""
    spent = [(past, seconds) for past in done for seconds in (past.reading, past.seconds)]
    return max((past.read / seconds for past, seconds in spent if seconds > 0), default=0.0)


def send_rate(done: Sequence[RoundReport]) -> float:
    """Bytes of content a second, at its best, before they are compressed; 0 if nothing was sent."""
    return max((past.content / past.seconds for past in done if past.seconds > 0), default=0.0)


def dirty_rate(done: Sequence[RoundReport]) -> float:
    """Bytes of chunks a second that were written during the last round."""
    last = done[-1]
    return last.left / last.seconds if last.seconds > 0 else 0.0


def _reading(done: Sequence[RoundReport], size: int) -> float:
    rate = read_rate(done)
    return size / rate if rate else 0.0


def _sending(done: Sequence[RoundReport], limits: RoundLimits) -> float:
    rate, waits = send_rate(done), max(0, done[-1].left - limits.buffered)
    return waits / rate if rate else 0.0


def _shortens(done: Sequence[RoundReport], limits: RoundLimits) -> bool:
    """Whether the freeze is long by what other rounds could take from it."""
    return freeze_seconds(done, limits) - _reading(done, done[-1].untracked) > limits.freeze_target


def _shrinks(done: Sequence[RoundReport]) -> bool:
    return len(done) < 2 or done[-1].left <= SHRINKS * done[-2].left


def _not_converging(done: Sequence[RoundReport], limits: RoundLimits) -> Step:
    figures = (
        f"not converging: {rate_text(dirty_rate(done))} are written and {rate_text(send_rate(done))} are "
        "sent, and rounds no longer shrink"
    )
    if limits.not_converging is NotConverging.FAIL:
        raise NotConvergingError(
            f"{figures}; {_expected(done, limits)}, the freeze target is {limits.freeze_target:g} s",
            f'{_ADVICE}; or raise freeze_target, or have not_converging="freeze"',
        )
    return _final(done, limits, figures)


def _final(done: Sequence[RoundReport], limits: RoundLimits, why: str) -> Step:
    expected = _expected(done, limits)
    if freeze_seconds(done, limits) > limits.freeze_deadline:
        raise FreezeError(f"{why}; {expected}, the freeze deadline is {limits.freeze_deadline:g} s", _ADVICE)
    return Step(RoundKind.FINAL, f"{why}; {expected}")


def _expected(done: Sequence[RoundReport], limits: RoundLimits) -> str:
    looked = bytes_text(done[-1].backlog + done[-1].untracked)
    return (
        f"{freeze_seconds(done, limits):.2g} s expected for {looked} to be read at "
        f"{rate_text(read_rate(done))} and {bytes_text(done[-1].left)} to be sent at "
        f"{rate_text(send_rate(done))}"
    )
