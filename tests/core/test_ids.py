import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.ids import LENGTH, RANDOM_BYTES, Kind, is_id, make

KINDS = st.sampled_from(Kind)
RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=32)


@given(KINDS, RANDOM)
def test_ids_look_as_the_api_writes_them(kind: Kind, random: bytes) -> None:
    made = make(kind, random)
    assert re.fullmatch(rf"{kind}-[0-9a-z]{{{LENGTH}}}", made)
    assert is_id(made, kind)
    assert not any(is_id(made, other) for other in Kind if other is not kind)


@given(RANDOM, RANDOM)
def test_other_randomness_is_another_id(one: bytes, other: bytes) -> None:
    same = int.from_bytes(one[:16], "big") % 36**20 == int.from_bytes(other[:16], "big") % 36**20
    assert (make(Kind.JOB, one) == make(Kind.JOB, other)) == same


@given(KINDS, st.binary(max_size=RANDOM_BYTES - 1))
def test_too_little_randomness_is_refused(kind: Kind, random: bytes) -> None:
    with pytest.raises(ValueError, match="needs 16 random bytes"):
        make(kind, random)


@given(KINDS, st.text(max_size=30))
def test_other_text_is_no_id(kind: Kind, text: str) -> None:
    assert is_id(text, kind) == bool(re.fullmatch(rf"{kind}-[0-9a-z]{{20}}", text))


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "k", str.upper, lambda t: t + "\n"])
def test_near_misses(change: Callable[[str], str]) -> None:
    good = "s-0123456789abcdefghij"
    assert is_id(good, Kind.SOURCE)
    assert not is_id(change(good), Kind.SOURCE)
