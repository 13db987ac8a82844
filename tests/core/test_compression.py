"""When compression pays, and how hard it tries."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.core.compression import may_pay, next_level, pays

SPEEDS = st.floats(1e3, 1e11)
SHARES = st.floats(0.001, 1.2)
SECONDS = st.floats(1e-6, 1e3)


@given(SHARES, SPEEDS, SPEEDS)
def test_what_pays_arrives_sooner(share: float, speed: float, link: float) -> None:
    packed, raw = 1 / speed + share / link, 1 / link
    if pays(share, speed, link):
        assert packed < raw * (1 + 1e-9)
        assert may_pay(speed, link)
    elif share < 0.9:
        assert packed >= raw * (1 - 1e-9)


@given(SHARES, SPEEDS, SPEEDS, st.floats(1, 100))
def test_a_slower_link_never_makes_it_pay_less(
    share: float, speed: float, link: float, slower: float
) -> None:
    assert not pays(share, speed, link) or pays(share, speed, link / slower)
    assert not pays(share, speed, link) or pays(share, speed, None)


@given(SPEEDS)
def test_what_does_not_shrink_never_pays(speed: float) -> None:
    assert not pays(1.0, speed, None)


@given(st.integers(1, 10), st.integers(1, 10), SECONDS, SECONDS)
def test_levels_stay_below_the_cap_and_move_by_one(
    level: int, cap: int, packing: float, sending: float
) -> None:
    level = min(level, cap)
    found = next_level(level, cap, packing, sending)
    assert 1 <= found <= cap
    assert abs(found - level) <= 1
    assert found >= level or packing > sending
    assert found <= level or packing < sending
