"""Calls of the kernel that Python's os module lacks, and buffers that O_DIRECT takes."""

import ctypes
import errno
import mmap
import os

from rehost.core.extent import Extent

_KEEP_SIZE, _PUNCH_HOLE = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Give a range of a file or block device back, so that it reads as zeroes; OSError as the kernel says."""
    if _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def data_extents(fd: int, size: int) -> list[Extent]:
    """Where a file has data; what lies between are holes, which read as zeroes."""
    found, position = [], 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # nothing but a hole up to the end
        position = os.lseek(fd, start, os.SEEK_HOLE)
        found.append(Extent(start, position))
    return found


def aligned_buffer(size: int) -> memoryview:
    """Zeroed memory that begins at a page, as O_DIRECT wants it."""
    return memoryview(mmap.mmap(-1, size))


def address_of(buffer: memoryview) -> int:
    """Where a writable buffer lies in memory."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if len(buffer) else 0
