"""Filters: devices around a device that pad, delay, fail, throttle or count; they stack."""

import threading
import time
from collections.abc import Callable
from enum import Enum

from rehost.block.device import Device
from rehost.core.errors import RehostError


class Operation(Enum):
    READ = "read"
    WRITE = "write"
    ZERO = "zero"
    FLUSH = "flush"


class Filter:
    """Passes everything on; what it becomes is said in `before`, called first in each operation."""

    def __init__(self, inner: Device) -> None:
        self.inner = inner

    def before(self, operation: Operation, offset: int, length: int) -> None:
        """Overridden by each filter; an error raised here takes the operation's place."""

    @property
    def size(self) -> int:
        return self.inner.size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.before(Operation.READ, offset, len(buffer))
        self.inner.read_into(offset, buffer)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.before(Operation.WRITE, offset, len(data))
        self.inner.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        self.before(Operation.ZERO, offset, length)
        self.inner.zero(offset, length)

    def flush(self) -> None:
        self.before(Operation.FLUSH, 0, 0)
        self.inner.flush()

    def close(self) -> None:
        self.inner.close()


class Padded(Filter):
    """Reads as zeroes from the end of the inner device up to `size`: a file may be cut off."""

    def __init__(self, inner: Device, size: int) -> None:
        super().__init__(inner)
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        there = max(0, min(len(buffer), self.inner.size - offset))
        if there:
            self.inner.read_into(offset, buffer[:there])
        buffer[there:] = bytes(len(buffer) - there)


class Delay(Filter):
    """Each operation takes at least `seconds` longer."""

    def __init__(self, inner: Device, seconds: float) -> None:
        super().__init__(inner)
        self.seconds = seconds

    def before(self, operation: Operation, offset: int, length: int) -> None:
        time.sleep(self.seconds)


class Fail(Filter):
    """Raises what `fault(operation, offset, length)` returns; where that is None, passes on."""

    def __init__(self, inner: Device, fault: Callable[[Operation, int, int], RehostError | None]) -> None:
        super().__init__(inner)
        self.fault = fault

    def before(self, operation: Operation, offset: int, length: int) -> None:
        error = self.fault(operation, offset, length)
        if error is not None:
            raise error


class Throttle(Filter):
    """Reads and writes together pass at most `rate` bytes a second."""

    def __init__(self, inner: Device, rate: float) -> None:
        super().__init__(inner)
        self.rate = rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def before(self, operation: Operation, offset: int, length: int) -> None:
        if operation not in (Operation.READ, Operation.WRITE):
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + length / self.rate
            wait = self._free_at - now
        time.sleep(wait)


class Count(Filter):
    """How many operations of each kind passed, and how many bytes."""

    def __init__(self, inner: Device) -> None:
        super().__init__(inner)
        self.calls = dict.fromkeys(Operation, 0)
        self.bytes = dict.fromkeys(Operation, 0)
        self._lock = threading.Lock()

    def before(self, operation: Operation, offset: int, length: int) -> None:
        with self._lock:
            self.calls[operation] += 1
            self.bytes[operation] += length
