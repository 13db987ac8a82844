"""Asking whether a program of QEMU has a disk image open.

Each of them holds locks on single bytes of the files that it has open (open file description locks, from
byte 100 on), whatever it does with them: a look from outside needs no more than one question to the kernel.
"""

import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid
_FIRST, _COUNT = 100, 200  # the bytes that QEMU uses


def in_use(path: Path) -> bool:
    """Some process has the image open by QEMU's code; so also the images below it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST, _COUNT, 0)
        kind, *_ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))
    finally:
        os.close(descriptor)
    return bool(kind != fcntl.F_UNLCK)
