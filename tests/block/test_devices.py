"""One suite for all kinds of devices and filters."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehost.block.device import Device
from rehost.core.errors import InvalidValueError
from tests.block.kinds import KINDS, SIZE


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with request.param(tmp_path) as made:
        yield made


def read(device: Device, offset: int = 0, length: int = SIZE) -> bytes:
    buffer = bytearray(b"\xee" * length)
    device.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def test_is_zeroes_of_the_given_size_at_first(device: Device) -> None:
    assert device.size == SIZE
    assert read(device) == bytes(SIZE)


@pytest.mark.parametrize("offset", [0, 512, 513, 4096, SIZE - 5])
def test_what_was_written_is_read_and_nothing_around_it(device: Device, offset: int) -> None:
    device.write(offset, b"word!")
    device.flush()
    assert read(device) == bytes(offset) + b"word!" + bytes(SIZE - offset - 5)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, SIZE), (4096, 8192), (100, 5000), (SIZE - 512, 512), (7, 0)]
)
def test_zeroed_ranges_are_zeroes_and_nothing_around_them(device: Device, offset: int, length: int) -> None:
    device.write(0, b"\xff" * SIZE)
    device.zero(offset, length)
    rest = SIZE - offset - length
    assert read(device) == b"\xff" * offset + bytes(length) + b"\xff" * rest


@pytest.mark.parametrize(("offset", "length"), [(SIZE, 1), (SIZE - 3, 4), (-1, 4), (1 << 62, 1)])
def test_what_lies_outside_is_refused_and_changes_nothing(device: Device, offset: int, length: int) -> None:
    with pytest.raises(InvalidValueError, match=f"of a device of {SIZE} bytes"):
        device.write(offset, b"x" * length)
    with pytest.raises(InvalidValueError):
        device.zero(offset, length)
    with pytest.raises(InvalidValueError):
        device.read_into(offset, memoryview(bytearray(length)))
    assert device.size == SIZE
    assert read(device) == bytes(SIZE)


@pytest.mark.parametrize("seed", range(5))
def test_does_what_a_bytearray_does(device: Device, seed: int) -> None:
    choose, model = random.Random(seed), bytearray(SIZE)
    for _ in range(60):
        offset = choose.randrange(SIZE)
        length = min(choose.choice([1, 511, 4096, 70_000]), SIZE - offset)
        match choose.choice(["write", "zero", "read", "flush"]):
            case "write":
                model[offset : offset + length] = content = choose.randbytes(length)
                device.write(offset, content)
            case "zero":
                model[offset : offset + length] = bytes(length)
                device.zero(offset, length)
            case "read":
                assert read(device, offset, length) == model[offset : offset + length]
            case "flush":
                device.flush()
    assert read(device) == model


def test_threads_do_not_disturb_each_other(device: Device) -> None:
    def work(number: int) -> bool:
        """Each thread has its own bytes, interleaved with those of the others."""
        places, content = range(number * 1000, SIZE - 1000, 8000), bytes([number + 1]) * 1000
        for offset in places:
            device.write(offset, content)
        return all(read(device, offset, 1000) == content for offset in places)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [True] * 8
