"""Free blocks of a mounted file system, by FS_IOC_GETFSMAP (ext2/3/4 by the ext4 driver, and xfs).

Free is what the file system says is free; anything it does not speak of counts as used. The call takes no
freeze protection and works on a frozen file system as well (seen on ext4 and xfs): so the final round takes
its map under the freeze, where it is exact.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rehost.core.extent import Extent, merge

_GETFSMAP = 0xC0C0583B
_HEAD = struct.Struct("=IIII48x")  # iflags, oflags, count, entries
_RECORD = struct.Struct("=IIQQQQ24x")  # device, flags, physical, owner, offset, length; bytes
_RECORDS_AT = _HEAD.size + 2 * _RECORD.size
_LAST = 0x20
_SPECIAL_OWNER = 0x10
_FREE = 1
_DEVICE_NUMBERS = 0x1  # the head's promise that records name devices by number
_BATCH = 8192  # records in one call
# The high key's length must be 0, or xfs refuses it.
_EVERYTHING = _RECORD.pack(0xFFFFFFFF, 0xFFFFFFFF, 2**64 - 1, 2**64 - 1, 2**64 - 1, 0)
_NOT_OFFERED = (errno.ENOTTY, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True)
class _Record:
    device: int
    flags: int
    physical: int
    owner: int
    offset: int
    length: int

    @property
    def free(self) -> bool:
        return bool(self.flags & _SPECIAL_OWNER) and self.owner == _FREE


def free_extents(fd: int, device: int) -> list[Extent] | None:
    """What is free on block device number `device`, in bytes from its beginning, merged.

    `fd` is open on anything of the mounted file system. None if the file system cannot tell; OSError for
    anything else that goes wrong.
    """
    try:
        return merge(
            Extent(record.physical, record.physical + record.length)
            for record in _records(fd)
            if record.free and record.device == _kernel_number(device)
        )
    except OSError as error:
        if error.errno in _NOT_OFFERED:
            return None
        raise


def _records(fd: int) -> Iterator[_Record]:
    low = bytes(_RECORD.size)
    while True:
        flags, records = _ask(fd, low)
        if not flags & _DEVICE_NUMBERS:  # an internal realtime section: its records are not device offsets
            raise OSError(errno.EOPNOTSUPP, "the file system does not name devices by number")
        yield from records
        if not records or records[-1].flags & _LAST:
            return
        last = records[-1]
        low = _RECORD.pack(last.device, last.flags, last.physical, last.owner, last.offset, last.length)


def _ask(fd: int, low: bytes) -> tuple[int, list[_Record]]:
    """One call: the head's output flags, and the records after `low`."""
    buffer = bytearray(_RECORDS_AT + _BATCH * _RECORD.size)
    _HEAD.pack_into(buffer, 0, 0, 0, _BATCH, 0)
    buffer[_HEAD.size : _RECORDS_AT] = low + _EVERYTHING
    fcntl.ioctl(fd, _GETFSMAP, buffer)
    _, flags, _, entries = _HEAD.unpack_from(buffer)
    found = memoryview(buffer)[_RECORDS_AT : _RECORDS_AT + entries * _RECORD.size]
    return flags, [_Record(*fields) for fields in _RECORD.iter_unpack(found)]


def _kernel_number(device: int) -> int:
    """A device number as the kernel writes it into records (new_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
