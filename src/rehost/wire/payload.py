"""Chunk content to payload and back: zstd where it pays, and no more memory than the chunk's length."""

import time

import zstandard

from rehost.core import compression
from rehost.core.errors import WireError
from rehost.wire.codec import UPGRADE
from rehost.wire.messages import MAX_CHUNK, Encoding

_PIECE = 8 << 10  # bytes of a sample, of which there are three
_FASTEST = 4e9  # bytes a second: what a compressor is taken for until it was seen
_INERTIA = 7 / 8  # of the speed that was known before


class Packer:
    """Compresses chunks where it pays, at most at a level (0: never); one for each thread."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._level = 1
        self._speed = _FASTEST
        self._zstd = {
            level: zstandard.ZstdCompressor(level=level, write_content_size=True)
            for level in range(1, cap + 1)
        }

    def pack(
        self, content: bytes | memoryview, link: float | None = None
    ) -> tuple[Encoding, bytes | memoryview]:
        """The content itself (not copied) or its compression, whichever is over a link of so many bytes a
        second sooner; whichever is shorter if that is not known."""
        if not self._cap or not compression.may_pay(self._speed, link):
            return Encoding.RAW, content
        if not self._promises(content, link):
            return Encoding.RAW, content
        packed, seconds = self._compress(content)
        seen = len(content) / max(seconds, 1e-9)
        self._speed = seen if self._speed == _FASTEST else _INERTIA * self._speed + (1 - _INERTIA) * seen
        if link is not None:
            self._level = compression.next_level(self._level, self._cap, seconds, len(packed) / link)
        if len(packed) > len(content) * compression.PAYS:
            return Encoding.RAW, content
        return Encoding.ZSTD, packed

    def _promises(self, content: bytes | memoryview, link: float | None) -> bool:
        """A sample of it says so; what is not much longer than its sample is tried whole."""
        if len(content) < 6 * _PIECE:
            return True
        view = memoryview(content)
        places = (0, len(view) // 2, len(view) - _PIECE)
        sample = b"".join(view[place : place + _PIECE] for place in places)
        share = len(self._compress(sample)[0]) / len(sample)
        return compression.pays(share, self._speed, link)

    def _compress(self, content: bytes | memoryview) -> tuple[bytes, float]:
        """The result, and the seconds that it took."""
        began = time.perf_counter()
        packed = self._zstd[self._level].compress(content)
        return packed, time.perf_counter() - began


class Unpacker:
    """Gives back a chunk's content; one for each thread."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=MAX_CHUNK)

    def unpack(self, encoding: Encoding, payload: bytes | memoryview, length: int) -> bytes | memoryview:
        """The content, `length` bytes; WireError if the payload does not hold exactly that.

        The size that the zstd frame states is compared before anything is allocated for it.
        """
        if encoding is Encoding.RAW:
            return payload
        try:
            stated = zstandard.get_frame_parameters(payload).content_size
            if stated != length:
                raise WireError(f"a zstd frame of {stated} bytes for a chunk of {length}", UPGRADE)
            return self._zstd.decompress(payload, max_output_size=length, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise WireError(f"a payload that zstd cannot read: {error}", UPGRADE) from error
