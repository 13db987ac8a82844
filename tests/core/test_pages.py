"""Sets of pages, against the same as Python sets."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.core import pages
from rehost.core.extent import Extent, merge, total
from rehost.core.pages import PAGE

LENGTHS = st.integers(1, 40 * PAGE)


def of(numbers: set[int]) -> int:
    return sum(1 << number for number in numbers)


@st.composite
def chosen(draw: st.DrawFn) -> tuple[int, set[int]]:
    """The length of a chunk and some of its pages."""
    length = draw(LENGTHS)
    return length, draw(st.sets(st.integers(0, pages.count(length) - 1)))


@given(chosen())
def test_parts_are_the_pages_in_runs(given_: tuple[int, set[int]]) -> None:
    length, numbers = given_
    found = list(pages.parts(of(numbers), length))
    expected = merge(Extent(n * PAGE, min((n + 1) * PAGE, length)) for n in numbers)
    assert found == expected
    assert pages.size(of(numbers), length) == total(expected)


@given(LENGTHS)
def test_every_page(length: int) -> None:
    assert list(pages.parts(pages.every(length), length)) == [Extent(0, length)]


@given(st.sets(st.integers(0, 39 * PAGE)), st.integers(1, PAGE))
def test_extents_touch_pages(starts: set[int], length: int) -> None:
    base = 1 << 30
    extents = merge(Extent(base + start, base + start + length) for start in starts)
    expected = {n for start in starts for n in range(start // PAGE, (start + length - 1) // PAGE + 1)}
    assert pages.touched(extents, base) == of(expected)


@given(chosen(), st.data())
def test_only_pages_that_differ(given_: tuple[int, set[int]], data: st.DataObject) -> None:
    length, among = given_
    changed = data.draw(st.sets(st.integers(0, length - 1), max_size=5))
    other = bytearray(length)
    for place in changed:
        other[place] = 1
    expected = {place // PAGE for place in changed} & among
    assert pages.differing(bytes(length), bytes(other), of(among)) == of(expected)
