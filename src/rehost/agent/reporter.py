"""Progress to the control plane, from a thread of its own: the newest figures about once a second.

The copy only puts figures into a slot; a dead network or a slow control plane never holds it up.
"""

import logging
import threading

from rehost.agent.control import ControlClient
from rehost.agent.trouble import Trouble
from rehost.core.agentapi import Progress
from rehost.core.errors import RehostError

INTERVAL = 1.0  # seconds between two reports at least

log = logging.getLogger(__name__)


class Reporter:
    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._slot: Progress | None = None
        self._changed = threading.Condition()
        self._trouble = Trouble(log)

    def offer(self, progress: Progress) -> None:
        """Take the newest figures; returns at once."""
        with self._changed:
            self._slot = progress
            self._changed.notify()

    def clear(self) -> None:
        """Forget figures that were not sent: their run has ended."""
        with self._changed:
            self._slot = None

    def loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            progress = self._take()
            if progress is not None:
                self._send(progress)
                stop.wait(INTERVAL)

    def _take(self) -> Progress | None:
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None, INTERVAL)
            progress, self._slot = self._slot, None
            return progress

    def _send(self, progress: Progress) -> None:
        """Figures that get lost are replaced by the next ones."""
        try:
            self._client.progress(progress)
        except RehostError as error:
            if not self._client.closed:
                self._trouble.is_now(f"progress does not reach the control plane (the copy goes on): {error}")
        else:
            self._trouble.is_now("")
