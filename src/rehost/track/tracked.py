"""Suspects by single writes where a disk can be tracked; where not, by the rung below, with the reason."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from rehost.core.errors import TrackingError
from rehost.core.extent import Extent
from rehost.track import ladder
from rehost.track.bookmark import Bookmark
from rehost.track.suspects import IdleDisks, Suspicion
from rehost.track.tracker import Tracker

_COMPARED = "compared by digest"


class Tracked:
    """One for all disks of a run."""

    def __init__(self, track: Callable[[int], Tracker] = ladder.track) -> None:
        self._track = track
        self._below = IdleDisks()
        self._trackers: dict[int, Tracker] = {}
        self._reasons: dict[int, str] = {}  # of disks that are not tracked (any more)
        self._begun: dict[int, int] = {}  # epochs
        self._completed: dict[int, int] = {}
        self._doubts: dict[int, str] = {}  # the last one of each disk that had any
        self._lock = threading.Lock()  # a tracker's memory must not go while another thread looks at it

    def resume(self, device: int, bookmark: Bookmark) -> str:
        tracker = self._tracker(device)
        if tracker is None:
            return f"writes are not tracked: {self._reasons[device]}"
        why = tracker.objection(bookmark)
        if not why:
            self._completed[device] = bookmark.epoch
        return why

    def prepare(self, device: int) -> None:
        self._tracker(device)

    def begin(self, device: int) -> Suspicion:
        """The rung below goes along with every pass, so that it can take over at any of them."""
        tracker = self._tracker(device)  # before the rung below looks: this reads the disk
        below = self._below.begin(device)
        if tracker is None:
            return Suspicion(
                below.extents, f"{below.reason}; writes are not tracked: {self._reasons[device]}"
            )
        try:
            return self._with_doubt(device, self._ask(device, tracker))
        except (TrackingError, OSError) as error:
            why = error.what if isinstance(error, TrackingError) else f"the kernel refuses: {error.strerror}"
            self._give_up(device, why)
            return Suspicion(None, f"{_COMPARED}; tracking was lost: {why}")

    def complete(self, device: int) -> None:
        self._below.complete(device)
        if device in self._begun:
            self._completed[device] = self._begun.pop(device)

    def bookmark(self, device: int) -> Bookmark | None:
        tracker, epoch = self._trackers.get(device), self._completed.get(device)
        return tracker.bookmark(epoch) if tracker and epoch else None

    def written(self, device: int) -> Sequence[Extent] | None:
        with self._lock:
            tracker = self._trackers.get(device)
            epoch = self._begun.get(device, self._completed.get(device))
            if tracker is None or epoch is None:
                return self._below.written(device)
            try:
                return tracker.since(epoch)
            except OSError:
                return None

    def leave(self) -> None:
        """Writes are tracked on, where the kernel can do that without this process."""
        with self._lock:
            while self._trackers:
                self._trackers.popitem()[1].close()

    def close(self) -> None:
        """End the tracking of all disks."""
        with self._lock:
            while self._trackers:
                self._trackers.popitem()[1].stop()

    def _ask(self, device: int, tracker: Tracker) -> Suspicion:
        """Where it does not know, all is suspect: that the rung below takes a disk for idle is not enough, as
        the kernel's counters, too, do not know what came past the block layer."""
        since = self._completed.get(device)
        self._begun[device] = tracker.close_epoch()
        extents = None if since is None else tracker.since(since)
        doubt = tracker.doubt()
        if doubt:
            self._completed.pop(device, None)  # this pass covers the doubt, but only once it is completed
        if extents is None:
            return Suspicion(None, f"{_COMPARED}; tracking begins ({tracker.rung})")
        if doubt:
            self._doubts[device] = doubt
            return Suspicion(None, f"{_COMPARED}; writes were tracked, but {doubt}")
        reason = f"writes were tracked ({tracker.rung}): {extents.total} bytes in {len(extents)} places"
        return Suspicion(extents, reason)

    def _with_doubt(self, device: int, suspicion: Suspicion) -> Suspicion:
        """Names what an earlier pass had to compare for as well: a run's report has the last pass' reason."""
        doubt = self._doubts.get(device)
        if doubt is None or doubt in suspicion.reason:
            return suspicion
        return replace(suspicion, reason=f"{suspicion.reason}; a pass before compared by digest: {doubt}")

    def _tracker(self, device: int) -> Tracker | None:
        if device not in self._trackers and device not in self._reasons:
            try:
                self._trackers[device] = self._track(device)
            except TrackingError as error:
                self._reasons[device] = error.what
        return self._trackers.get(device)

    def _give_up(self, device: int, why: str) -> None:
        self._reasons[device] = why
        self._begun.pop(device, None)
        self._completed.pop(device, None)
        with self._lock, suppress(OSError):  # it may be what broke
            self._trackers.pop(device).stop()
