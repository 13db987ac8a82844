"""The end of a process with its parent, so that no receiver outlives its control plane."""

import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int | None = None) -> None:
    """From now on SIGTERM comes when the parent ends; SystemExit if it has ended already.

    The kernel takes the end of the *thread* that started this process for the parent's end: start it from a
    thread that lives as long as the process.
    """
    expected = os.getppid() if parent is None else parent
    if _libc.prctl(_SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != expected:
        raise SystemExit("the parent process ended before this one had begun")
