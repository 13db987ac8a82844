"""From the best way to know what was written to a disk down to the next one, with the reason for people."""

import os
from collections.abc import Sequence
from contextlib import suppress

from rehost.core.errors import TrackingError
from rehost.track import tracker
from rehost.track.bpf import attach, system
from rehost.track.bpf.attach import Rung
from rehost.track.bpf.programs import Target
from rehost.track.disk import DiskIdentity, identity_of
from rehost.track.kernelmaps import create
from rehost.track.pins import Shelf, numbers_kept
from rehost.track.tracker import Tracker

RUNGS = (attach.TYPED, attach.CLASSIC)
_PROBED = 1 << 30  # bytes of the disk that is only imagined


def track(number: int, rungs: Sequence[Rung] = RUNGS) -> Tracker:
    """A tracker of whole disk `number`, resumed if one was kept; TrackingError says why there is none."""
    _check_machine()
    disk = identity_of(number)
    shelf = _shelf(number)
    try:
        return tracker.resume(disk, shelf, rungs) or _start(disk, shelf, rungs)
    except BaseException:
        shelf.close()
        raise


def why_not() -> str:
    """Why no disk of this machine can be tracked; empty if it seems possible. Attaches nothing."""
    try:
        _check_machine()
        reasons = [_refusal(rung) for rung in RUNGS]
    except TrackingError as error:
        return error.what
    return "" if "" in reasons else "; ".join(reasons)


def forget(number: int) -> None:
    """End what is kept for this disk number; TrackingError while another process uses it."""
    shelf = _shelf(number)
    shelf.clear()
    shelf.close()


def forget_all() -> None:
    """End every tracker of this machine that no process uses."""
    for number in numbers_kept():
        with suppress(TrackingError):
            forget(number)


def _shelf(number: int) -> Shelf:
    try:
        return Shelf(number)
    except OSError as error:
        raise TrackingError(f"the tracker's files in /run cannot be used: {error.strerror}") from error


def _check_machine() -> None:
    if not system.supported():
        raise TrackingError("the kernel's calls on this kind of machine are not known")
    if os.geteuid() != 0:
        raise TrackingError("only root can track writes")
    try:
        system.wait_for_programs()
    except OSError as error:  # no such call before 4.16, or CPUs without a tick (nohz_full)
        raise TrackingError(f"the kernel does not wait for programs to end: {error.strerror}") from error


def _start(disk: DiskIdentity, shelf: Shelf, rungs: Sequence[Rung]) -> Tracker:
    reasons = []
    for rung in rungs:
        try:
            return tracker.start(disk, shelf, rung)
        except (OSError, LookupError, TrackingError) as error:
            reasons.append(f"{rung.name}: {_why(error)}")
    raise TrackingError("; ".join(reasons))


def _refusal(rung: Rung) -> str:
    try:
        maps = create(_PROBED, rung.finest, rung.rows)
        try:
            rung.load(Target(0, 0, rung.finest.bit_length() - 1, maps.maps), 0)
        finally:
            maps.close()
    except (OSError, LookupError) as error:
        return f"{rung.name}: {_why(error)}"
    return ""


def _why(error: Exception) -> str:
    if isinstance(error, TrackingError):
        return error.what
    if isinstance(error, OSError):
        return f"the kernel refuses: {error.strerror or error}"
    return str(error.args[0])
