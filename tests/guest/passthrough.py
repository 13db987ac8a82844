"""Writes one sector of a SCSI or SATA disk by SG_IO, past the kernel's block layer.

python passthrough.py DEVICE SECTOR
"""

import ctypes
import fcntl
import os
import struct
import sys

CONTENT = b"past the block layer".ljust(512, b".")
_SG_IO = 0x2285
_HEADER = struct.Struct("iiBBHIPPPIIiPBBBBHHiII")
_TO_DEVICE, _WRITE_10, _TIMEOUT = -2, 0x2A, 10_000  # milliseconds


def write(device: str, sector: int) -> None:
    content = ctypes.create_string_buffer(CONTENT, len(CONTENT))
    command = ctypes.create_string_buffer(struct.pack(">BBIBHB", _WRITE_10, 0, sector, 0, 1, 0))
    sense = ctypes.create_string_buffer(64)
    pointers = (ctypes.addressof(buffer) for buffer in (content, command, sense))
    start = (ord("S"), _TO_DEVICE, 10, len(sense), 0, len(content), *pointers, _TIMEOUT)
    header = bytearray(_HEADER.pack(*start, *[0] * 12))
    fd = os.open(device, os.O_RDWR)
    try:
        fcntl.ioctl(fd, _SG_IO, header)
    finally:
        os.close(fd)
    status = _HEADER.unpack(header)[13:19]
    if any(status[i] for i in (0, 4, 5)):  # the disk's, the host's, the driver's
        raise OSError(f"the command failed: {status}")


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
