"""Rounds of a run: the baseline, deltas while they shrink, then the final one under freeze.

A run that builds on the one before it begins with a delta: it looks at what was written since.
"""

from dataclasses import dataclass
from enum import StrEnum


class RoundKind(StrEnum):
    BASELINE = "baseline"
    DELTA = "delta"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What one round did, over all disks of a run."""

    kind: RoundKind
    number: int  # from 1
    read: int  # bytes read from the source's disks
    changed: int  # bytes of chunks that differed from the replica
    sent: int  # bytes on the wire
    seconds: float


@dataclass(frozen=True, slots=True)
class RoundLimits:
    most_rounds: int = 5  # deltas before the final round is taken anyway
    small: int = 64 << 20  # bytes: a round that changed less is followed by the final one


def next_round(done: list[RoundReport], limits: RoundLimits) -> RoundKind | None:
    """The kind of the next round, None after the final one.

    Deltas go on while each changes clearly less than the one before it; when they no longer shrink, another
    one would only read again what the freeze has to read anyway.
    """
    if not done:
        return RoundKind.BASELINE
    last = done[-1]
    if last.kind is RoundKind.FINAL:
        return None
    deltas = [result for result in done if result.kind is RoundKind.DELTA]
    if not deltas:
        return RoundKind.DELTA
    shrinking = len(done) < 2 or deltas[-1].changed * 2 < done[-2].changed
    if deltas[-1].changed <= limits.small or len(deltas) >= limits.most_rounds or not shrinking:
        return RoundKind.FINAL
    return RoundKind.DELTA
