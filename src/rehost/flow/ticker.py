"""A thread that does the same again and again."""

import logging
import threading
from collections.abc import Callable

AGAIN = 1.0  # seconds: what failed may be due long before its next time, a lease for example

_log = logging.getLogger(__name__)


class Ticker:
    """Calls `tick` every `pause` seconds, soon after it failed, and at once when it is woken."""

    def __init__(self, name: str, tick: Callable[[], None], pause: float) -> None:
        self._name, self._tick, self._pause = name, tick, pause
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """Returns when a tick that goes on is done."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            pause = self._pause
            try:
                self._tick()
            except Exception:  # noqa: BLE001  the database is away: what is to be done waits for it
                _log.exception("%s could not look at the jobs; it tries again", self._name)
                pause = min(pause, AGAIN)
            self._wake.wait(pause)
