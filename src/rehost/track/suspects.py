"""The seam for write tracking: what of a disk may differ from what the last complete pass over it saw.

Everything above this module looks only at suspects (and at chunks whose used blocks changed). `IdleDisks`
suspects whole disks unless the kernel's counters prove them idle; `tracked.Tracked` knows single writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rehost.core.extent import Extent
from rehost.track.bookmark import Bookmark
from rehost.track.counters import Counters, counters_of


@dataclass(frozen=True, slots=True)
class Suspicion:
    extents: Sequence[Extent] | None  # bytes of the disk, merged; None: all of it
    reason: str  # for people


class Suspects(Protocol):
    """One for all disks of a run; a disk is named by its device number."""

    def resume(self, device: int, bookmark: Bookmark) -> str:
        """Take a pass of an earlier run for the last completed one; why that cannot be, empty if it can.

        Before the first `begin`.
        """

    def prepare(self, device: int) -> None:
        """Be ready for the first question about a disk; it takes a moment."""

    def begin(self, device: int) -> Suspicion:
        """What was written since the `begin` of the last completed pass; a new pass begins with it.

        To be called before the pass takes its map of used blocks and before it reads anything: a write
        after this moment has to be in the answer of the next call.
        """

    def complete(self, device: int) -> None:
        """The pass that began last is durable as a whole."""

    def bookmark(self, device: int) -> Bookmark | None:
        """Of the last completed pass; None where nothing outlives the run."""

    def written(self, device: int) -> Sequence[Extent] | None:
        """What was written since the last `begin`, as far as can be told cheaply and at any time, from
        another thread too; None: nobody knows."""

    def leave(self) -> None:
        """No pass follows in this run; later ones may resume from its bookmarks."""

    def close(self) -> None:
        """No pass follows."""


class IdleDisks:
    """Everything is suspect, but not a disk whose write counters have not moved.

    Why skipping is sound: the kernel counts a write at its completion. A mark is taken before a pass reads.
    A write that completed before the mark was there to be read. One that completes after it, even if it was
    in flight at the mark, moves the counters away from the mark, and the disk is read again. Two things would
    make the counters lie: statistics turned off, or a driver that never counts; so statistics have to be on
    at both ends and the reads of the pass itself must have been counted. Requests that programs hand to the
    device past the block layer (SG_IO) are not counted; nothing that keeps file systems does that.
    """

    def __init__(self) -> None:
        self._begun: dict[int, Counters | None] = {}
        self._completed: dict[int, Counters] = {}

    def resume(self, device: int, bookmark: Bookmark) -> str:
        return "writes are not tracked"

    def prepare(self, device: int) -> None:
        """There is nothing to do."""

    def begin(self, device: int) -> Suspicion:
        now, before = counters_of(device), self._completed.get(device)
        self._begun[device] = now
        if now is not None and before is not None and now.writes == before.writes:
            return Suspicion((), "nothing was written to the disk since it was read last")
        return Suspicion(None, "compared by digest")

    def complete(self, device: int) -> None:
        begun, now = self._begun.pop(device, None), counters_of(device)
        if begun is None or now is None:
            self._completed.pop(device, None)
        elif now.reads > begun.reads or device in self._completed:
            self._completed[device] = begun

    def bookmark(self, device: int) -> None:
        return None

    def written(self, device: int) -> Sequence[Extent] | None:
        marked, now = self._begun.get(device) or self._completed.get(device), counters_of(device)
        return () if marked is not None and now is not None and now.writes == marked.writes else None

    def leave(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""
