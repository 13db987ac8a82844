import time

import pytest

from rehost.block.filters import Count, Delay, Fail, Operation, Padded, Throttle
from rehost.block.memory import MemoryDevice
from rehost.core.errors import RehostError, SourceReadError


def test_padded_reads_as_zeroes_behind_the_end() -> None:
    inner = MemoryDevice(3)
    inner.write(0, b"abc")
    device, content = Padded(inner, 10), bytearray(b"x" * 4)
    for offset, wanted in ((0, b"abc\0"), (2, b"c\0\0\0"), (3, bytes(4)), (6, bytes(4))):
        device.read_into(offset, memoryview(content))
        assert content == wanted
    assert device.size == 10


def test_count_counts_calls_and_bytes() -> None:
    device = Count(MemoryDevice(1000))
    device.write(0, b"abc")
    device.write(5, b"de")
    device.zero(0, 10)
    device.read_into(0, memoryview(bytearray(7)))
    device.flush()
    assert device.calls == {Operation.READ: 1, Operation.WRITE: 2, Operation.ZERO: 1, Operation.FLUSH: 1}
    assert device.bytes == {Operation.READ: 7, Operation.WRITE: 5, Operation.ZERO: 10, Operation.FLUSH: 0}


def test_fail_raises_in_place_of_the_operation() -> None:
    def bad_sector(operation: Operation, offset: int, length: int) -> RehostError | None:
        touched = operation is Operation.READ and offset <= 512 < offset + length
        return SourceReadError("cannot read at 512") if touched else None

    device = Fail(inner := Count(MemoryDevice(1000)), bad_sector)
    device.write(500, b"x" * 100)
    device.read_into(0, memoryview(bytearray(512)))
    with pytest.raises(SourceReadError):
        device.read_into(400, memoryview(bytearray(113)))
    assert inner.calls[Operation.READ] == 1


def test_throttle_and_delay_take_their_time() -> None:
    """At least that long; how much longer is the machine's affair."""
    throttled = Throttle(MemoryDevice(1000), rate=10_000)
    delayed = Delay(MemoryDevice(1000), 0.05)
    start = time.monotonic()
    throttled.write(0, bytes(1000))
    throttled.read_into(0, memoryview(bytearray(1000)))
    assert time.monotonic() - start >= 0.2
    start = time.monotonic()
    delayed.flush()
    assert time.monotonic() - start >= 0.05
