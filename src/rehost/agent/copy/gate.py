"""What everything that takes long asks between two steps: may it go on?"""

import threading
import time

from rehost.core.errors import FreezeError, RehostError, RunStoppedError

_STEP = 0.2  # seconds


class AbortedError(RehostError):
    """Another stream failed; its error is the one that counts."""


class Gate:
    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._aborted = False
        self._thaws_at: float | None = None

    def check(self) -> None:
        """RunStoppedError, AbortedError, or FreezeError once the time of a freeze is over."""
        if self._stop.is_set():
            raise RunStoppedError("the run was stopped", "start the job again: what is durable stays")
        if self._aborted:
            raise AbortedError("another stream of the run failed")
        if self._thaws_at is not None and time.monotonic() > self._thaws_at:
            raise FreezeError(
                "the freeze's deadline came before everything was read",
                "raise the job's freeze deadline, or move load away from the source for the last round",
            )

    def pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _STEP))
            self.check()

    def abort(self) -> None:
        """Make all streams end what they do."""
        self._aborted = True

    def freeze(self, deadline: float) -> None:
        """From now on nothing may take longer than `deadline` seconds."""
        self._thaws_at = time.monotonic() + deadline

    def reopen(self) -> None:
        """No abort and no deadline any more; a stop stays one."""
        self._aborted = False
        self._thaws_at = None
