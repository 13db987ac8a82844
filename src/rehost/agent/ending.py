"""How a service is told to end: a signal sets an event that its main thread waits for."""

import _thread
import threading
from collections.abc import Callable

_LOOK = 1.0  # seconds


def sets(stop: threading.Event) -> Callable[..., object]:
    """A signal's handler. In another thread: the main one may be inside the Event, and its handler would wait
    for it for ever."""
    return lambda *_: _thread.start_new_thread(stop.set, ())


def wait_for(stop: threading.Event) -> None:
    """A signal between the main thread's last instruction and its wait is handled when that wait ends: seen
    with a SIGTERM right after the start, on a busy machine."""
    while not stop.wait(_LOOK):
        pass
