"""Tracks the writes to one disk, inside the kernel. Why no write is missed: docs/decisions/0011.

A cell holds the epoch of the last write to its part of the disk and is never cleared: what was written since
epoch N began are the cells that are N or more.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from rehost.block.linux import aligned_buffer
from rehost.core.errors import TrackingError
from rehost.core.extent import Extents
from rehost.track.audit import Bounds, Look, Verdict, bounds, judge
from rehost.track.bookmark import Bookmark
from rehost.track.bpf import system
from rehost.track.bpf.attach import Attached, Rung
from rehost.track.bpf.programs import Target
from rehost.track.counters import counters_of
from rehost.track.disk import DiskIdentity, identity_of
from rehost.track.kernelmaps import NAMES, KernelMaps, cell_size_for, create
from rehost.track.pins import Shelf, Token

_LOOKS = 200  # at statistics, until there is a quiet moment
_PAUSE = 0.001  # seconds between them
_CANARY = 4096
_LINKS = "link"
_PROGRAMS = "program"


@dataclass(slots=True)
class Tracker:
    """Of one disk, in this process. `close` leaves it working if it is kept, `stop` ends it."""

    disk: DiskIdentity
    maps: KernelMaps
    attached: list[Attached]  # in the order of the rows of counts
    shelf: Shelf
    rung: str
    resumed: bool = False
    kept: bool = False  # pinned, with a token
    unseen: tuple[Bounds, ...] = ()
    passthrough: int = 0  # commands past the block layer that are accounted for
    reliable: int = 1  # the epoch from which on no mark is missing

    def close_epoch(self) -> int:
        """Begin a new epoch and return it: a write that `since` does not tell now is told with it."""
        epoch = self.maps.raise_epoch()
        system.wait_for_programs()  # what read the old epoch has stored it
        return epoch

    def since(self, epoch: int) -> Extents:
        """What was written in this epoch or later, in whole cells."""
        return self.maps.since(epoch)

    def doubt(self) -> str:
        """Why a write before this moment may have been missed; empty if none was. After `since`, so that its
        answer is covered.

        Counting begins anew then: who reads all of the disk after this moment may rely on what is marked
        from the epoch on that was begun before. TrackingError if this is not the disk any more.
        """
        if identity_of(self.disk.number) != self.disk:
            raise TrackingError(f"{self.disk.path} is not the disk any more that was tracked")
        why = self._passed() or self._uncounted()
        if why:
            self.begin_audit()
            self.reliable = self.maps.epoch
        return why

    def bookmark(self, epoch: int) -> Bookmark | None:
        """For `objection`, in whatever process goes on with this tracker; None if it ends with this one."""
        token = self.token()
        return Bookmark(token.disk, token.maps, token.links, epoch) if self.kept else None

    def objection(self, bookmark: Bookmark) -> str:
        """Why `since` the bookmark's epoch is not all that was written; empty if it is."""
        if bookmark.disk.boot != self.disk.boot:
            return "the source was booted since the run before"
        if bookmark.disk != self.disk:
            return f"{self.disk.path} is another disk than in the run before"
        token = self.token()
        if (bookmark.maps, bookmark.links) != (token.maps, token.links):
            return "tracking was lost since the run before"
        if bookmark.epoch < self.reliable:
            return "not every write since the run before was seen"
        return ""

    def misses(self) -> list[int | None]:
        """How often each completion program was left out, at any disk's events; None if not told."""
        return [system.misses(one.program) for one in self.attached[1:]]

    def close(self) -> None:
        """Give this process' hold up; what is not kept ends with it."""
        if self.kept:  # an audit that began anew has other figures; with the old ones it only doubts again
            with suppress(OSError):
                self.shelf.write(self.token())
        self._let_go()

    def _let_go(self) -> None:
        for one in self.attached:
            one.close()
        self.maps.close()
        self.shelf.close()

    def stop(self) -> None:
        """End the tracking."""
        self.shelf.clear()
        self._let_go()

    def _passed(self) -> str:
        fresh = self.maps.count(0).passthrough - self.passthrough
        if not fresh:
            return ""
        return f"{fresh} commands with data came past the block layer (SG_IO, NVMe passthrough) and may write"

    def _uncounted(self) -> str:
        verdicts = self._verdicts()
        if Verdict.EQUAL in verdicts or Verdict.BUSY in verdicts:
            return ""
        if Verdict.SURPLUS in verdicts:
            return "the tracker counted writes that the kernel did not"
        misses = [count for count in self.misses() if count is not None]
        left_out = f" (its programs were left out {misses} times)" if any(misses) else ""
        return f"the kernel counted writes that the tracker did not see{left_out}"

    def _verdicts(self) -> list[Verdict]:
        """One for each completion program; as soon as one has seen all, it does not matter what others did:
        all of them mark."""
        verdicts: list[Verdict] = []
        for _ in range(_LOOKS):
            verdicts = [judge(*pair) for pair in zip(self._look(), self.unseen, strict=True)]
            if Verdict.EQUAL in verdicts or set(verdicts) == {Verdict.MISSED}:
                break
            time.sleep(_PAUSE)
        return verdicts

    def _look(self) -> list[Look]:
        rows = range(1, len(self.attached))
        before = [self.maps.count(row).sectors for row in rows]
        kernel = written_to(self.disk)
        return [Look(before[row - 1], kernel, self.maps.count(row).sectors) for row in rows]

    def begin_audit(self) -> None:
        looks = []
        for _ in range(_LOOKS):
            looks.append(self._look())
            if len(looks) >= 3 and all(look.quiet for one in looks[-3:] for look in one):
                break
            time.sleep(_PAUSE)
        self.unseen = tuple(map(bounds, zip(*looks, strict=True)))
        self.passthrough = self.maps.count(0).passthrough

    def check_canary(self) -> None:
        """TrackingError if a read of the disk is not seen by every program: nor are its writes then."""
        rows = range(len(self.attached))
        before = [self.maps.count(row).requests for row in rows]
        _read_past_the_cache(self.disk.path)
        if any(self.maps.count(row).requests <= before[row] for row in rows):
            raise TrackingError(f"the requests of {self.disk.path} do not pass where they can be seen")

    def keep(self) -> None:
        """Make it outlive this process, where the kernel can (typed programs, or 5.15 and later)."""
        if not all(one.pinnable for one in self.attached):
            return
        names = dict(zip(NAMES, self.maps.descriptors, strict=True))
        for place, one in enumerate(self.attached):
            names |= {f"{_LINKS}{place}": one.link, f"{_PROGRAMS}{place}": one.program}
        self.shelf.put(names)
        self.shelf.write(self.token())
        self.kept = True

    def token(self) -> Token:
        return Token(
            self.disk,
            self.maps.cell,
            self.rung,
            tuple(map(system.id_of, self.maps.descriptors)),
            tuple(system.id_of(one.link) for one in self.attached),
            tuple((one.low, one.high) for one in self.unseen),
            self.passthrough,
            self.reliable,
        )


def start(disk: DiskIdentity, shelf: Shelf, rung: Rung) -> Tracker:
    """A new tracker of a disk; whatever was kept of an old one ends. OSError, LookupError, TrackingError."""
    shelf.clear()
    system.lift_memory_limit()
    cell = cell_size_for(disk.size, rung.finest)
    maps = create(disk.size, cell, rung.rows)
    tracker = Tracker(disk, maps, [], shelf, rung.name)
    target = Target(os.major(disk.number), os.minor(disk.number), cell.bit_length() - 1, maps.maps)
    try:
        tracker.attached = [rung.attach(target, row) for row in range(rung.rows)]
        system.wait_for_programs()
        tracker.check_canary()
        tracker.begin_audit()
        tracker.keep()
    except BaseException:
        _undo(tracker)
        raise
    return tracker


def resume(disk: DiskIdentity, shelf: Shelf, rungs: Sequence[Rung]) -> Tracker | None:
    """The tracker that was kept of this very disk, if nothing was missed in between; else None."""
    token = shelf.token()
    rung = next((rung for rung in rungs if token and rung.name == token.rung), None)
    if token is None or token.disk != disk or rung is None:
        return None
    if token.cell != cell_size_for(disk.size, rung.finest):
        return None
    try:
        tracker = _take(token, shelf, rung.rows)
    except OSError:
        return None
    if tracker.token() == token:
        return tracker
    for one in tracker.attached:
        one.close()
    tracker.maps.close()
    return None


def _take(token: Token, shelf: Shelf, rows: int) -> Tracker:
    epoch, cells, groups, counts = map(shelf.get, NAMES)
    maps = KernelMaps((epoch, cells, groups, counts), token.disk.size, token.cell, rows)
    attached = [
        Attached(shelf.get(f"{_PROGRAMS}{row}"), shelf.get(f"{_LINKS}{row}"), True) for row in range(rows)
    ]
    unseen = tuple(Bounds(low, high) for low, high in token.unseen)
    return Tracker(
        token.disk,
        maps,
        attached,
        shelf,
        token.rung,
        resumed=True,
        kept=True,
        unseen=unseen,
        passthrough=token.passthrough,
        reliable=token.reliable,
    )


def _undo(tracker: Tracker) -> None:
    """The shelf stays open: the next rung may be tried on it."""
    tracker.shelf.clear()
    for one in tracker.attached:
        one.close()
    tracker.maps.close()


def written_to(disk: DiskIdentity) -> int:
    """Sectors that the kernel counted as written or discarded; TrackingError if it does not count."""
    counters = counters_of(disk.number)
    if counters is None:
        raise TrackingError(f"the kernel keeps no statistics of {disk.path} to check the tracker against")
    return counters.writes[1] + counters.writes[3]


def _read_past_the_cache(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        os.preadv(fd, [aligned_buffer(_CANARY)], 0)
    finally:
        os.close(fd)
