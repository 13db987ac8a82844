"""A process that treats a file system badly: buffered and direct writes at random, fsync, deletes, holes
punched, truncates, renames, trims. It is run as a file of its own, with a mount point.

    python torture.py FOLDER SEED

Writes a line when it has begun, and ends at the end of its input.
"""

import ctypes
import fcntl
import mmap
import os
import random
import select
import struct
import sys
from contextlib import suppress
from pathlib import Path

_FILES = 80
_MOST = 2 << 20  # bytes of a file
_BLOCK = 4096
_FITRIM = 0xC0185879
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Torture:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self._buffer = mmap.mmap(-1, 64 * _BLOCK)

    def step(self) -> None:
        actions = (self.write, self.direct, self.synced, self.punch, self.truncate, self.delete, self.rename)
        action = self._random.choices((*actions, self.trim), (40, 25, 15, 8, 5, 8, 4, 1))[0]
        with suppress(OSError):  # full: deletes make room
            action(self._folder / f"file-{self._random.randrange(_FILES)}")

    def write(self, file: Path) -> None:
        self._write(file, os.O_WRONLY, self._random.randbytes(self._random.randrange(1, 200_000)))

    def synced(self, file: Path) -> None:
        self._write(file, os.O_WRONLY | os.O_DSYNC, self._random.randbytes(self._random.randrange(1, 50_000)))

    def direct(self, file: Path) -> None:
        length = self._random.randrange(1, 65) * _BLOCK
        self._buffer[:length] = self._random.randbytes(length)
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        try:
            place = self._random.randrange(_MOST // _BLOCK) * _BLOCK
            os.pwritev(fd, [memoryview(self._buffer)[:length]], place)
        finally:
            os.close(fd)

    def punch(self, file: Path) -> None:
        fd = os.open(file, os.O_RDWR)
        _LIBC.fallocate(fd, 1 | 2, self._random.randrange(_MOST), self._random.randrange(1, 300_000))
        os.close(fd)

    def truncate(self, file: Path) -> None:
        os.truncate(file, self._random.randrange(_MOST))

    def delete(self, file: Path) -> None:
        file.unlink()

    def rename(self, file: Path) -> None:
        file.rename(self._folder / f"file-{self._random.randrange(_FILES)}")

    def trim(self, file: Path) -> None:
        fd = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _FITRIM, struct.pack("QQQ", 0, 2**64 - 1, 0))
        finally:
            os.close(fd)

    def _write(self, file: Path, flags: int, content: bytes) -> None:
        fd = os.open(file, flags | os.O_CREAT)
        try:
            os.pwrite(fd, content, self._random.randrange(_MOST))
            if self._random.random() < 0.2:
                os.fsync(fd)
        finally:
            os.close(fd)


def main() -> None:
    torture = Torture(Path(sys.argv[1]), int(sys.argv[2]))
    torture.step()
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], 0.0005)[0]:
        torture.step()


if __name__ == "__main__":
    main()
