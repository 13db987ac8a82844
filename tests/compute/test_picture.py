import struct
import zlib

import pytest

from rehost.compute.picture import is_black


def png(rows: list[bytes], colour: int = 2, cut: int = 0) -> bytes:
    """A picture of 3 pixels a row; the content in two IDAT chunks, as libpng does with large ones."""
    packed = zlib.compress(b"".join(rows))[: -cut or None]
    header = struct.pack(">IIBBBBB", 3, len(rows), 8, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tEXt", b"x"), (b"IDAT", packed[:4]), (b"IDAT", packed[4:]), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("filter_type", range(5))
def test_black_is_black_under_every_filter(filter_type: int) -> None:
    assert is_black(png([bytes([filter_type]) + bytes(9)] * 4))


def test_one_bit_of_one_pixel_is_not_black() -> None:
    assert not is_black(png([b"\1" + bytes(9), b"\0" + bytes(8) + b"\1"]))


def test_other_files_are_refused() -> None:
    row = b"\0" + bytes(9)
    for data in (b"", b"GIF89a", png([row], colour=6), png([row[:-1]]), png([row], cut=6), png([row])[:30]):
        with pytest.raises(ValueError):
            is_black(data)
