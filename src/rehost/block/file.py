"""Files and block devices as devices."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from rehost.block.device import check_range
from rehost.block.linux import address_of, aligned_buffer, punch_hole
from rehost.core.errors import RehostError, SourceReadError, VolumeError, VolumeFullError

DIRECT_ALIGNMENT = 4096  # a multiple of every logical sector size in use
_ZEROES = bytes(1 << 20)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CANNOT_PUNCH = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV)

_CHECK_SOURCE = "check the disk and its cable or host (dmesg, smartctl), then start the job again"
_CHECK_VOLUME = "check the disk that holds the data folder (dmesg), then start the job again"
_MAKE_ROOM = "make room on the file system that holds the data folder, then start the job again"


class FileDevice:
    """An open file or block device; `size` is what it had when it was opened."""

    def __init__(self, path: Path, fd: int, *, volume: bool, direct: bool) -> None:
        """Takes the descriptor over. `volume`: of a replica, not of a source; errors say so."""
        self.path = path
        self.size = os.lseek(fd, 0, os.SEEK_END)
        self._fd = fd
        self._volume = volume
        self._direct = direct

    def fileno(self) -> int:
        return self._fd

    def read_into(self, offset: int, buffer: memoryview) -> None:
        check_range(self, offset, len(buffer))
        if not self._direct or _aligned(offset, buffer):
            self._read(offset, buffer)
        else:
            self._read_bounced(offset, buffer)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        check_range(self, offset, len(data))
        rest = memoryview(data)
        try:
            while rest:
                count = os.pwrite(self._fd, rest, offset)
                rest, offset = rest[count:], offset + count
        except OSError as error:
            raise self._write_error("write", offset, error) from error

    def zero(self, offset: int, length: int) -> None:
        check_range(self, offset, length)
        if length == 0:
            return
        try:
            punch_hole(self._fd, offset, length)
        except OSError as error:
            if error.errno not in _CANNOT_PUNCH:
                raise self._write_error("zero", offset, error) from error
            for start in range(offset, offset + length, len(_ZEROES)):
                self.write(start, memoryview(_ZEROES)[: offset + length - start])

    def flush(self) -> None:
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise self._write_error("flush", 0, error) from error

    def close(self) -> None:
        """An error here is about bytes that no flush has promised, so it says nothing new."""
        with suppress(OSError):
            os.close(self._fd)

    def _read(self, offset: int, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise self._read_error(offset + done, len(buffer) - done, error.strerror) from error
            if count == 0:
                raise self._read_error(offset + done, len(buffer) - done, "the disk ends there")
            done += count

    def _read_bounced(self, offset: int, buffer: memoryview) -> None:
        """Through aligned memory; what lies beyond a device's end is not asked for but cut by the kernel."""
        start = offset // DIRECT_ALIGNMENT * DIRECT_ALIGNMENT
        end = -(-(offset + len(buffer)) // DIRECT_ALIGNMENT) * DIRECT_ALIGNMENT
        bounce = aligned_buffer(end - start)
        self._read_up_to(start, bounce, offset + len(buffer) - start)
        buffer[:] = bounce[offset - start : offset - start + len(buffer)]

    def _read_up_to(self, offset: int, buffer: memoryview, needed: int) -> None:
        try:
            count = os.preadv(self._fd, [buffer], offset)
        except OSError as error:
            raise self._read_error(offset, len(buffer), error.strerror) from error
        if count < needed:
            raise self._read_error(offset + count, needed - count, "the read was short")

    def _read_error(self, offset: int, length: int, reason: str | None) -> RehostError:
        what = f"cannot read {length} bytes at {offset} of {self.path}: {reason}"
        return VolumeError(what, _CHECK_VOLUME) if self._volume else SourceReadError(what, _CHECK_SOURCE)

    def _write_error(self, doing: str, offset: int, error: OSError) -> RehostError:
        what = f"cannot {doing} at {offset} of {self.path}: {error.strerror}"
        if error.errno in _FULL:
            return VolumeFullError(what, _MAKE_ROOM)
        return VolumeError(what, _CHECK_VOLUME)


def open_source(path: Path, *, direct: bool = True) -> FileDevice:
    """A disk to read. `direct` passes by the page cache, which is not coherent with a mounted file system.

    Reads into page-aligned buffers (`linux.aligned_buffer`) at page-aligned places are not copied.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if direct else 0)
    try:
        return FileDevice(path, os.open(path, flags), volume=False, direct=direct)
    except OSError as error:
        raise SourceReadError(f"cannot open {path}: {error.strerror}", _CHECK_SOURCE) from error


def open_volume(path: Path, *, writable: bool = True) -> FileDevice:
    """A volume to write (and read back), or only to read."""
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    try:
        return FileDevice(path, os.open(path, flags), volume=True, direct=False)
    except OSError as error:
        raise VolumeError(f"cannot open {path}: {error.strerror}", _CHECK_VOLUME) from error


def _aligned(offset: int, buffer: memoryview) -> bool:
    return (offset | len(buffer) | address_of(buffer)) % DIRECT_ALIGNMENT == 0
