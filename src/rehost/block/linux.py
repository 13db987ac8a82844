"""Calls of the kernel that Python's os module lacks, and buffers that O_DIRECT takes."""

import ctypes
import mmap
import os

_KEEP_SIZE, _PUNCH_HOLE = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Give a range of a file or block device back, so that it reads as zeroes; OSError as the kernel says."""
    if _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def aligned_buffer(size: int) -> memoryview:
    """Zeroed memory that begins at a page, as O_DIRECT wants it."""
    return memoryview(mmap.mmap(-1, size))


def address_of(buffer: memoryview) -> int:
    """Where a writable buffer lies in memory."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if len(buffer) else 0
