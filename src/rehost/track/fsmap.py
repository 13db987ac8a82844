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

from rehost.core.extent import Extent, Extents, subtract
from rehost.core.extents import Gathering

_GETFSMAP = 0xC0C0583B
_HEAD = struct.Struct("=IIII48x")  # iflags, oflags, count, entries
_RECORD = struct.Struct("=IIQQQQ24x")  # device, flags, physical, owner, offset, length; bytes
_RECORDS_AT = _HEAD.size + 2 * _RECORD.size
_LAST = 0x20
_SPECIAL_OWNER = 0x10
_FREE = 1
_DEVICE_NUMBERS = 0x1  # the head's promise that records name devices by number
_BATCH = (
    65536  # records in one call, 4 MiB; in each call ext4 begins with a list of the metadata of all groups
)
# The high key's length must be 0, or xfs refuses it.
_EVERYTHING = _RECORD.pack(0xFFFFFFFF, 0xFFFFFFFF, 2**64 - 1, 2**64 - 1, 2**64 - 1, 0)
_NOT_OFFERED = (errno.ENOTTY, errno.EOPNOTSUPP)


def free_extents(fd: int, device: int, used: Gathering | None = None) -> Extents | None:
    """What is free on block device number `device`, in bytes from its beginning.

    `fd` is open on anything of the mounted file system. `used` gathers what is not free; if it bounds the
    number of extents, the smallest free ones are left out, as free has to mean proven free. None if the file
    system cannot tell; OSError for anything else that goes wrong.
    """
    used, end = Gathering() if used is None else used, 0
    try:
        for start, length in _free_records(fd, _kernel_number(device)):
            if start < end:
                raise OSError(errno.EOPNOTSUPP, "the file system's records are not in order")
            if start > end:
                used.add(end, start)
            end = start + length
    except OSError as error:
        if error.errno in _NOT_OFFERED:
            return None
        raise
    return subtract(Extent(0, end), used.extents()) if end else used.extents()


def _free_records(fd: int, device: int) -> Iterator[tuple[int, int]]:
    """Start and length of each; `device` as the kernel writes it."""
    low, flags = bytes(_RECORD.size), 0
    while not flags & _LAST:
        records = _ask(fd, low)
        if not records:
            return
        numbers, words = records.cast("I"), records.cast("Q")
        columns = (numbers[0::16], numbers[1::16], words[2::8], words[1::8], words[4::8])
        for number, flags, owner, start, length in zip(*columns, strict=True):
            if owner == _FREE and flags & _SPECIAL_OWNER and number == device:
                yield start, length
        low = bytes(records[-_RECORD.size :])


def _ask(fd: int, low: bytes) -> memoryview:
    """One call: the records after `low`."""
    buffer = bytearray(_RECORDS_AT + _BATCH * _RECORD.size)
    _HEAD.pack_into(buffer, 0, 0, 0, _BATCH, 0)
    buffer[_HEAD.size : _RECORDS_AT] = low + _EVERYTHING
    fcntl.ioctl(fd, _GETFSMAP, buffer)
    _, flags, _, entries = _HEAD.unpack_from(buffer)
    if not flags & _DEVICE_NUMBERS:  # an internal realtime section: its records are not device offsets
        raise OSError(errno.EOPNOTSUPP, "the file system does not name devices by number")
    return memoryview(buffer)[_RECORDS_AT : _RECORDS_AT + entries * _RECORD.size]


def _kernel_number(device: int) -> int:
    """A device number as the kernel writes it into records (new_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
