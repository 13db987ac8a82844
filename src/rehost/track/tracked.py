"""Suspects by single writes where a disk can be tracked; where not, by the rung below, with the reason."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from rehost.core.errors import TrackingError
from rehost.core.extent import total
from rehost.track import ladder
from rehost.track.suspects import IdleDisks, Suspicion
from rehost.track.tracker import Tracker


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

    def begin(self, device: int) -> Suspicion:
        """The rung below goes along with every pass, so that it can take over at any of them."""
        tracker = self._tracker(device)  # before the rung below looks: this reads the disk
        below = self._below.begin(device)
        if tracker is None:
            return Suspicion(
                below.extents, f"{below.reason}; writes are not tracked: {self._reasons[device]}"
            )
        try:
            return self._with_doubt(device, self._ask(device, tracker, below))
        except (TrackingError, OSError) as error:
            why = error.what if isinstance(error, TrackingError) else f"the kernel refuses: {error.strerror}"
            self._give_up(device, why)
            return Suspicion(below.extents, f"{below.reason}; tracking was lost: {why}")

    def complete(self, device: int) -> None:
        self._below.complete(device)
        if device in self._begun:
            self._completed[device] = self._begun.pop(device)

    def close(self) -> None:
        """End the tracking of all disks."""
        for device, tracker in list(self._trackers.items()):
            del self._trackers[device]
            tracker.stop()

    def _ask(self, device: int, tracker: Tracker, below: Suspicion) -> Suspicion:
        since = self._completed.get(device)
        self._begun[device] = tracker.close_epoch()
        extents = None if since is None else tracker.since(since)
        doubt = tracker.doubt()
        if extents is None:
            return Suspicion(below.extents, f"{below.reason}; tracking begins ({tracker.rung})")
        if doubt:
            self._doubts[device] = doubt
            return Suspicion(below.extents, f"{below.reason}; writes were tracked, but {doubt}")
        reason = f"writes were tracked ({tracker.rung}): {total(extents)} bytes in {len(extents)} places"
        return Suspicion(tuple(extents), reason)

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
        with suppress(OSError):  # it may be what broke
            self._trackers.pop(device).stop()
