"""Looking at a screenshot: is there anything on it? Pure."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2  # QEMU writes 8 bits of red, green and blue, not interlaced


def is_black(png: bytes) -> bool:
    """Whether a PNG as QEMU writes it has only black pixels; ValueError if it is another kind of file.

    Every PNG filter stores differences between neighbours, the first of them to zero: a picture is black if
    and only if all that is stored is zero, but for the byte in front of each row that names the filter.
    """
    header, pixels = _parts(png)
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    if (depth, colour) != (8, _RGB):
        raise ValueError(f"a picture of depth {depth} and colour type {colour}, expected 8 and {_RGB}")
    row = 1 + 3 * width
    if len(pixels) != row * height:
        raise ValueError(f"a picture of {width}x{height} with {len(pixels)} bytes of pixels")
    return not any(pixels[start + 1 : start + row].strip(b"\0") for start in range(0, len(pixels), row))


def _parts(png: bytes) -> tuple[bytes, bytes]:
    """The header's content and the unpacked pixels."""
    if not png.startswith(_SIGNATURE):
        raise ValueError("not a PNG file")
    header, packed, position = b"", b"", len(_SIGNATURE)
    while position + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        content = png[position + 8 : position + 8 + length]
        header = content if kind == b"IHDR" else header
        packed += content if kind == b"IDAT" else b""
        position += 12 + length
    try:
        return header, zlib.decompress(packed)
    except zlib.error as error:
        raise ValueError(f"a PNG file that ends too early: {error}") from error
