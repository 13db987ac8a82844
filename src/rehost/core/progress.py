"""A job's progress in per cent: how much each state weighs, and how far a copy is in its rounds."""

from rehost.core.agentapi import Progress
from rehost.core.job import JobState
from rehost.core.round import RoundKind

WEIGHTS: dict[JobState, tuple[float, float]] = {
    JobState.PREPARING: (0.0, 5.0),
    JobState.SYNCING: (5.0, 80.0),
    JobState.PROCESSING: (80.0, 98.0),
    JobState.CLEANING: (98.0, 100.0),
}
"""The per cent at which a running state begins and ends."""

_ROUNDS: dict[RoundKind, tuple[float, float]] = {
    RoundKind.BASELINE: (0.0, 0.92),
    RoundKind.DELTA: (0.92, 0.98),
    RoundKind.FINAL: (0.98, 1.0),
}


def overall(state: JobState, fraction: float) -> float:
    """Per cent of a job that is a fraction (0 to 1) through a running state."""
    low, high = WEIGHTS[state]
    return low + (high - low) * min(max(fraction, 0.0), 1.0)


def copied(progress: Progress) -> float:
    """The fraction of a copy that is done, by bytes; the baseline is nearly all of it.

    Deltas share one span: each counts from its beginning, so callers keep the highest value seen.
    """
    low, high = _ROUNDS[progress.kind]
    total = sum(disk.total for disk in progress.disks)
    done = sum(disk.done for disk in progress.disks)
    return low + (high - low) * (done / total if total else 0.0)
