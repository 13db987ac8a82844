"""A loop disk that does not give some sectors: real I/O errors, from a file system of our own (FUSE).

    python baddisk.py MOUNTPOINT BACKING BAD

The file MOUNTPOINT becomes a file system of that one file, with the content of BACKING; reads that touch a
range in the file BAD (lines of START END) fail with EIO. Says "ready" once it is there.
"""

import ctypes
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tests.loopdisks import LoopDisk, run
from tests.processes import line_of, python


class Opcode(IntEnum):
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    DESTROY = 38


_NO_CACHE = 1  # an answer to OPEN: each read comes here
_HEADER = struct.Struct("<IIQQIIII")  # length, opcode, unique, node, uid, gid, pid, padding
_MOST = 128 << 10  # bytes of one read or write


@dataclass(frozen=True)
class BadDisk:
    disk: LoopDisk
    bad: Path

    def spoil(self, *ranges: tuple[int, int]) -> None:
        """From now on these bytes are not given, and all others are."""
        fresh = self.bad.with_suffix(".new")
        fresh.write_text("".join(f"{start} {end}\n" for start, end in ranges))
        fresh.replace(self.bad)


@contextmanager
def bad_disk(folder: Path, size: int) -> Iterator[BadDisk]:
    """A disk of random bytes, none of them bad yet; its `image` is what it would give."""
    backing, point, bad = folder / "backing.img", folder / "bad.img", folder / "bad.txt"
    backing.write_bytes(os.urandom(size))
    point.touch()
    bad.touch()
    with python("-m", "tests.baddisk", point, backing, bad) as process:
        try:
            assert line_of(process) == "ready\n"
            path = run("losetup", "--find", "--show", "--direct-io=on", point)
            try:
                yield BadDisk(LoopDisk(path, backing, None), bad)
            finally:
                run("losetup", "--detach", path)
        finally:
            subprocess.run(["umount", "--lazy", point], check=True)


def main(point: str, backing: str, bad: str) -> None:
    connection = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={connection},rootmode=100000,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"baddisk", point.encode(), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    file = os.open(backing, os.O_RDWR)
    print("ready", flush=True)
    while True:
        try:
            request = os.read(connection, _MOST + (64 << 10))
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return
            raise
        _, opcode, unique, *_ = _HEADER.unpack_from(request)
        if opcode == Opcode.FORGET:
            continue
        status, body = _answer(opcode, request[_HEADER.size :], file, Path(bad))
        os.write(connection, struct.pack("<IiQ", 16 + len(body), -status, unique) + body)
        if opcode == Opcode.DESTROY:
            return


def _answer(opcode: int, body: bytes, file: int, bad: Path) -> tuple[int, bytes]:
    match opcode:
        case Opcode.INIT:
            return 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, _MOST, 0, 16, 12, _MOST, 1, _MOST >> 12, 0, 0)
        case Opcode.GETATTR | Opcode.SETATTR:
            return 0, struct.pack("<QII", 1, 0, 0) + _attributes(os.fstat(file).st_size)
        case Opcode.OPEN:
            return 0, struct.pack("<QII", 0, _NO_CACHE, 0)
        case Opcode.READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            if any(start < offset + size and offset < end for start, end in _ranges(bad)):
                return errno.EIO, b""
            return 0, os.pread(file, size, offset)
        case Opcode.WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            return 0, struct.pack("<II", os.pwrite(file, body[40 : 40 + size], offset), 0)
        case Opcode.STATFS:
            return 0, struct.pack("<QQQQQIII28x", 1 << 20, 1 << 19, 1 << 19, 1, 1, 4096, 255, 4096)
        case Opcode.RELEASE | Opcode.FSYNC | Opcode.FLUSH | Opcode.DESTROY:
            return 0, b""
    return errno.ENOSYS, b""


def _attributes(size: int) -> bytes:
    """A regular file's, with inode number 1 and no times."""
    numbers = struct.pack("<QQQQQQIII", 1, size, size // 512, 0, 0, 0, 0, 0, 0)
    return numbers + struct.pack("<IIIIIII", 0o100600, 1, 0, 0, 0, 4096, 0)


def _ranges(bad: Path) -> list[tuple[int, int]]:
    return [(int(line.split()[0]), int(line.split()[1])) for line in bad.read_text().splitlines()]


if __name__ == "__main__":
    main(*sys.argv[1:])
