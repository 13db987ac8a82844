"""The few system calls that Python's os module lacks: mlockall, munlockall, syncfs."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4


def lock_memory(whole: bool) -> None:
    """Keep this process' pages in memory; OSError if the kernel refuses.

    `whole` brings everything in at once; without it pages are locked as they are first used, which spares
    the stacks and buffers of a large process.
    """
    _call("mlockall", _CURRENT | _FUTURE | (0 if whole else _ON_FAULT))


def unlock_memory() -> None:
    _call("munlockall")


def syncfs(fd: int) -> None:
    """Write out what one file system holds back; not `sync`, which waits for dead network mounts too."""
    _call("syncfs", fd)


def _call(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
