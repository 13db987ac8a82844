"""A process that treats a file system badly: buffered, mapped, direct and asynchronous writes at random,
fsync, deletes, room reserved, holes punched, truncates, renames, trims. It is run as a file of its own, with
a mount point, and needs nothing but Python.

    python torture.py FOLDER SEED [REST]

Between two actions it rests REST times as long as the one before kept the processor busy, so that also a slow
machine comes to its other work. Writes a line when it has begun, and ends at the end of its input.
"""

import ctypes
import fcntl
import mmap
import os
import random
import select
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

_FILES = 80
_MOST = 2 << 20  # bytes of a file
_BLOCK = 4096
_LEAST = 0.0005  # seconds between two actions
_FITRIM = 0xC0185879
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_KEEP_SIZE, _PUNCH = 1, 2
# Linux AIO, for which neither Python nor the C library has a name; x86-64.
_IO_SETUP, _IO_GETEVENTS, _IO_SUBMIT = 206, 208, 209
_CONTROL = struct.Struct("=QIIHhIQQqQII")
_EVENT = 32  # bytes
_PWRITE = 1
_IN_FLIGHT = 16


class Torture:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self._noise = self._random.randbytes(4 * _MOST)
        self._buffer = mmap.mmap(-1, 64 * _BLOCK)
        self._queue = ctypes.c_ulong()
        if _LIBC.syscall(_IO_SETUP, _IN_FLIGHT, ctypes.byref(self._queue)):
            raise OSError(ctypes.get_errno(), "io_setup")
        self._actions = {
            self.write: 40,
            self.direct: 20,
            self.submit: 5,
            self.synced: 15,
            self.mapped: 10,
            self.reserve: 5,
            self.punch: 8,
            self.truncate: 5,
            self.delete: 8,
            self.rename: 4,
            self.trim: 1,
        }

    def step(self) -> None:
        (action,) = self._random.choices(tuple(self._actions), tuple(self._actions.values()))
        with suppress(OSError):  # full: deletes make room
            action(self._folder / f"file-{self._random.randrange(_FILES)}")

    def write(self, file: Path) -> None:
        self._write(file, os.O_WRONLY, self._bytes(self._random.randrange(1, 200_000)))

    def synced(self, file: Path) -> None:
        self._write(file, os.O_WRONLY | os.O_DSYNC, self._bytes(self._random.randrange(1, 50_000)))

    def direct(self, file: Path) -> None:
        length = self._random.randrange(1, 65) * _BLOCK
        self._buffer[:length] = self._bytes(length)
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        try:
            place = self._random.randrange(_MOST // _BLOCK) * _BLOCK
            os.pwritev(fd, [memoryview(self._buffer)[:length]], place)
        finally:
            os.close(fd)

    def submit(self, file: Path) -> None:
        """Direct writes that are all in flight at once."""
        self._buffer[:] = self._bytes(len(self._buffer))
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        try:
            places = [self._random.randrange(_MOST // _BLOCK) * _BLOCK for _ in range(_IN_FLIGHT)]
            controls = [
                _CONTROL.pack(0, 0, 0, _PWRITE, 0, fd, address + i * _BLOCK, _BLOCK, place, 0, 0, 0)
                for i, place in enumerate(places)
            ]
            pointers = (ctypes.c_char_p * _IN_FLIGHT)(*controls)
            count = ctypes.c_long(_LIBC.syscall(_IO_SUBMIT, self._queue, ctypes.c_long(_IN_FLIGHT), pointers))
            if count.value < 0:
                raise OSError(ctypes.get_errno(), "io_submit")
            events = ctypes.create_string_buffer(_IN_FLIGHT * _EVENT)
            _LIBC.syscall(_IO_GETEVENTS, self._queue, count, count, events, None)
        finally:
            os.close(fd)

    def mapped(self, file: Path) -> None:
        space = os.statvfs(self._folder)
        if space.f_bavail * space.f_frsize < 16 * _MOST:
            return  # a page that finds no room would end this process
        fd = os.open(file, os.O_RDWR | os.O_CREAT)
        try:
            if os.fstat(fd).st_size == 0:
                os.ftruncate(fd, self._random.randrange(1, _MOST))
            with mmap.mmap(fd, 0) as memory:
                for _ in range(self._random.randrange(1, 20)):
                    memory[self._random.randrange(len(memory))] = self._random.randrange(256)
                if self._random.random() < 0.2:
                    memory.flush()
        finally:
            os.close(fd)

    def reserve(self, file: Path) -> None:
        self._allocate(file, self._random.choice((0, _KEEP_SIZE)))

    def punch(self, file: Path) -> None:
        self._allocate(file, _KEEP_SIZE | _PUNCH)

    def _allocate(self, file: Path, mode: int) -> None:
        fd = os.open(file, os.O_RDWR | os.O_CREAT)
        _LIBC.fallocate(fd, mode, self._random.randrange(_MOST), self._random.randrange(1, 300_000))
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

    def _bytes(self, length: int) -> bytes:
        """Cut from noise that is there already: an emulated machine makes little of it in a second."""
        start = self._random.randrange(len(self._noise) - length)
        return self._noise[start : start + length]

    def _write(self, file: Path, flags: int, content: bytes) -> None:
        fd = os.open(file, flags | os.O_CREAT)
        try:
            os.pwrite(fd, content, self._random.randrange(_MOST))
            if self._random.random() < 0.2:
                os.fsync(fd)
        finally:
            os.close(fd)


def main() -> None:
    torture, pause = Torture(Path(sys.argv[1]), int(sys.argv[2])), _LEAST
    rest = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    torture.step()
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], pause)[0]:
        began = time.process_time()
        torture.step()
        pause = max(_LEAST, rest * (time.process_time() - began))


if __name__ == "__main__":
    main()
