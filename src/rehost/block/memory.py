"""A device in memory: the test double, and the proof that the protocol needs no file."""

from rehost.block.device import check_range


class MemoryDevice:
    def __init__(self, size: int) -> None:
        self._content = bytearray(size)

    @property
    def size(self) -> int:
        return len(self._content)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        check_range(self, offset, len(buffer))
        buffer[:] = self._content[offset : offset + len(buffer)]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        check_range(self, offset, len(data))
        self._content[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def flush(self) -> None:
        """Nothing in memory outlives the process anyway."""

    def close(self) -> None:
        """The memory goes with the object."""
