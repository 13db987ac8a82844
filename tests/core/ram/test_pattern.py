import re

from hypothesis import given
from hypothesis import strategies as st

from rehost.core.ram.pattern import matches

LETTERS = st.text("ab*?:", max_size=12)


def _by_regular_expression(pattern: str, text: str) -> bool:
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(c, re.escape(c)) for c in pattern), text, re.DOTALL) is not None


@given(LETTERS, LETTERS)
def test_as_a_regular_expression_says(pattern: str, text: str) -> None:
    assert matches(pattern, text) is _by_regular_expression(pattern, text)


@given(st.text(max_size=30))
def test_a_star_matches_all_and_a_text_itself(text: str) -> None:
    assert matches("*", text)
    assert matches(text, text)


def test_many_stars_take_no_time() -> None:
    """A regular expression would still be at it when the tests' time is over."""
    assert not matches("*a" * 500, "a" * 499)
    assert not matches("a*" * 1000 + "b", "a" * 5000)
