"""Compares what the tracker counted with what the kernel's statistics say was written. Pure.

`unseen` is what the kernel counted and a program did not. It is some fixed figure (what was written before
the program began); it grows when the program is left out at an event. The kernel counts a completed request
a moment after the program saw it, so a single look may find it smaller, never larger.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Look:
    """Sectors written, in one moment or around it."""

    before: int  # as the program had counted them
    kernel: int
    after: int  # as the program had counted them then

    @property
    def quiet(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which figures `unseen` lies; equal if there was a quiet moment."""

    low: int
    high: int


class Verdict(Enum):
    EQUAL = "equal"
    MISSED = "missed"  # the kernel counted more
    SURPLUS = "surplus"  # the program counted more; or the kernel has not counted yet
    BUSY = "busy"  # no quiet moment, and nothing that tells of a loss


def bounds(looks: Iterable[Look]) -> Bounds:
    """Of several looks at the beginning."""
    seen = list(looks)
    quiet = [look.kernel - look.before for look in seen if look.quiet]
    if quiet:
        return Bounds(max(quiet), max(quiet))
    return Bounds(
        max(look.kernel - look.after for look in seen), max(look.kernel - look.before for look in seen)
    )


def judge(look: Look, unseen: Bounds) -> Verdict:
    if look.kernel - look.after > unseen.high:
        return Verdict.MISSED
    if not look.quiet:
        return Verdict.BUSY
    return Verdict.EQUAL if look.kernel - look.before >= unseen.low else Verdict.SURPLUS
