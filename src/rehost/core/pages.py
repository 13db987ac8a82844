"""Pages: the 4 KiB parts of a chunk, as a set that is a number whose bit n stands for page n. Pure."""

from collections.abc import Iterator, Sequence

from rehost.core.extents import Extent

PAGE = 4096  # bytes; the last page of a disk may be short


def count(length: int) -> int:
    """The pages of a chunk of `length` bytes."""
    return -(-length // PAGE)


def every(length: int) -> int:
    """All pages of a chunk of `length` bytes."""
    return (1 << count(length)) - 1


def touched(extents: Sequence[Extent], start: int) -> int:
    """The pages of a chunk that begins at byte `start` which extents within it touch."""
    pages = 0
    for extent in extents:
        first, end = (extent.start - start) // PAGE, count(extent.end - start)
        pages |= (1 << end) - (1 << first)
    return pages


def parts(pages: int, length: int) -> Iterator[Extent]:
    """Neighbouring pages as extents from a chunk's beginning, ascending; cut at the chunk's end."""
    done = 0
    while pages:
        skip = (pages & -pages).bit_length() - 1
        pages >>= skip
        run = (~pages & (pages + 1)).bit_length() - 1
        pages >>= run
        done += skip
        yield Extent(done * PAGE, min((done + run) * PAGE, length))
        done += run


def size(pages: int, length: int) -> int:
    """Bytes of these pages of a chunk of `length` bytes."""
    return sum(map(len, parts(pages, length)))


def differing(one: bytes | bytearray, other: bytes | bytearray, among: int) -> int:
    """Those of the pages `among` in which two contents of a chunk differ."""
    found = 0
    for part in parts(among, len(one)):
        if one[part.start : part.end] == other[part.start : part.end]:
            continue
        for start in range(part.start, part.end, PAGE):
            if one[start : start + PAGE] != other[start : start + PAGE]:
                found |= 1 << start // PAGE
    return found
