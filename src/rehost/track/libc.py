"""The few system calls that Python's os module lacks: mlockall, syncfs, sync_file_range, mount."""

import ctypes
import errno
import os
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_WHOLE_RANGE = 0, 0, 7  # to the end; wait for what is under way, write, and wait again
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_PRIVATE = 2 | 4 | 8  # no set-user-ID programs, no devices, no programs at all
_READ_ONLY = 1
_LAZY = 2


def lock_memory(whole: bool) -> None:
    """Keep this process' pages in memory; OSError if the kernel refuses.

    `whole` brings everything in at once; without it pages are locked as they are first used, which spares
    the stacks and buffers of a large process.
    """
    try:
        _call("mlockall", _CURRENT | _FUTURE | (0 if whole else _ON_FAULT))
    except OSError as error:
        if whole or error.errno != errno.EINVAL:
            raise
        _call("mlockall", _CURRENT)  # before Linux 4.4


def unlock_memory() -> None:
    _call("munlockall")


def syncfs(fd: int) -> None:
    """Write out what one file system holds back; not `sync`, which waits for dead network mounts too."""
    _call("syncfs", fd)


def write_back(fd: int) -> None:
    """Write a file's or device's page cache out.

    Not fsync: that makes the disk flush its own cache too, and such a flush counts as a write in the
    kernel's statistics, though it changes nothing.
    """
    _call("sync_file_range", fd, *_WHOLE_RANGE)


def mount(kind: str, point: Path) -> None:
    """Mount one of the kernel's own file systems."""
    _call("mount", kind.encode(), str(point).encode(), kind.encode(), ctypes.c_ulong(_PRIVATE), None)


def mount_read_only(device: Path, kind: str, options: str, point: Path) -> None:
    """Mount a device's file system; OSError as the kernel says."""
    words = (str(device).encode(), str(point).encode(), kind.encode())
    _call("mount", *words, ctypes.c_ulong(_READ_ONLY | _PRIVATE), options.encode())


def unmount(point: Path) -> None:
    _call("umount2", str(point).encode(), _LAZY)


def _call(name: str, *arguments: object) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
