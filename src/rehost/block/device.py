"""What a disk is to the data plane; `file`, `memory` and `filters` are kinds of it."""

from typing import Protocol

from rehost.core.errors import InvalidValueError


class Device(Protocol):
    """Bytes that can be read and written anywhere between 0 and `size`; safe for several threads.

    Reads raise SourceReadError or VolumeError, writes VolumeFullError or VolumeError, each with the place;
    a range that does not lie on the device raises InvalidValueError. What a write raises may come with the
    next flush instead.
    """

    @property
    def size(self) -> int: ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the whole buffer with the bytes from `offset`."""

    def write(self, offset: int, data: bytes | memoryview) -> None: ...

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeroes, giving its space back where that is possible."""

    def flush(self) -> None:
        """Make everything written or zeroed before durable."""

    def close(self) -> None: ...


def check_range(device: Device, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > device.size:
        raise InvalidValueError(f"bytes {offset} to {offset + length} of a device of {device.size} bytes")
