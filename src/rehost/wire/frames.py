"""Cuts a byte stream into frames, in one buffer that is reused."""

from collections.abc import Iterator

from rehost.core.errors import FrameTooLongError, WireError
from rehost.wire.codec import HEADER, LENGTH, UPGRADE, Layout, check_length, layout_of
from rehost.wire.messages import MAX_FRAME

_CAPACITY = 2 * (LENGTH + MAX_FRAME)  # one frame always fits; half of the time none has to be moved


class FrameBuffer:
    """Give it bytes by `space` and `filled`; take frames by `frames`, whose bodies are lent views."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_CAPACITY))
        self._start = self._end = 0

    def space(self) -> memoryview:
        """Where the next bytes go, never empty; ends the loan of all bodies."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start > _CAPACITY // 2:
            rest = self._end - self._start
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest
        return self._buffer[self._end :]

    def filled(self, count: int) -> None:
        self._end += count

    def frames(self) -> Iterator[tuple[Layout, memoryview]]:
        """What is whole by now; a frame that breaks a limit raises as soon as its header is there."""
        while self._end - self._start >= HEADER.size:
            length, number = HEADER.unpack_from(self._buffer, self._start)
            layout = _check(length, number)
            end = self._start + LENGTH + length
            if end > self._end:
                return
            body = self._buffer[self._start + HEADER.size : end]
            self._start = end
            yield layout, body

    def drop(self) -> None:
        self._start = self._end

    def __len__(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return self._end - self._start


def _check(length: int, number: int) -> Layout:
    if length == 0:
        raise WireError("a frame without a type", UPGRADE)
    if length > MAX_FRAME:
        raise FrameTooLongError(f"a frame of {length} bytes, the most is {MAX_FRAME}", UPGRADE)
    layout = layout_of(number)
    check_length(layout, length)
    return layout
