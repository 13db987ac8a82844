"""On which host a job's volumes are made: pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that takes jobs."""

    host: str
    free: int  # bytes
    running: int  # jobs


def choose(candidates: Sequence[Candidate], needed: int) -> str | None:
    """Of those with room for so many bytes the one that runs the fewest jobs, then the one with most room.

    Where none has room it is the one with the most, whose job says then what is missing. None: there is none.
    """
    fitting = [each for each in candidates if each.free >= needed]
    if not fitting:
        return max(candidates, key=lambda each: each.free).host if candidates else None
    return min(fitting, key=lambda each: (each.running, -each.free, each.host)).host
