"""Chunk content to payload and back: zstd where it pays, and no more memory than the chunk's length."""

import zstandard

from rehost.core.errors import WireError
from rehost.wire.codec import UPGRADE
from rehost.wire.messages import MAX_CHUNK, Encoding

_PAYS = 15 / 16  # a smaller gain is not worth the receiver's time


class Packer:
    """Compresses chunks at one level (0: never); one for each thread."""

    def __init__(self, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_content_size=True) if level > 0 else None

    def pack(self, content: bytes | memoryview) -> tuple[Encoding, bytes | memoryview]:
        """The shorter of the content itself (not copied) and its compression."""
        if self._zstd is not None:
            packed = self._zstd.compress(content)
            if len(packed) <= len(content) * _PAYS:
                return Encoding.ZSTD, packed
        return Encoding.RAW, content


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
