import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.throttle import Rate, take

RATES = st.builds(Rate, st.floats(0.01, 1000), st.integers(1, 100))


@given(RATES, st.lists(st.floats(0, 10), max_size=100))
def test_never_more_than_the_burst_and_the_rate_allow(rate: Rate, pauses: list[float]) -> None:
    now, full_at, taken = 1000.0, 0.0, 0
    for pause in pauses:
        now += pause
        full_at, wait = take(full_at, now, rate)
        taken += wait == 0
        assert taken <= rate.burst + (now - 1000) * rate.per_second + 1e-3


@given(RATES)
def test_a_full_bucket_gives_its_burst_at_once_and_no_more(rate: Rate) -> None:
    full_at, waits = 0.0, []
    for _ in range(rate.burst + 1):
        full_at, wait = take(full_at, 1000.0, rate)
        waits.append(wait)
    assert waits[:-1] == [0.0] * rate.burst
    assert waits[-1] == pytest.approx(1 / rate.per_second, rel=1e-3)


@given(RATES, st.floats(0, 1000))
def test_who_waits_as_told_is_served(rate: Rate, later: float) -> None:
    now, full_at, wait = 1000.0, 0.0, 0.0
    while not wait:
        full_at, wait = take(full_at, now, rate)
    assert take(full_at, now + wait + 1e-6 + later, rate)[1] == 0


@pytest.mark.parametrize("wrong", [(0, 1), (-1, 1), (1, 0)])
def test_rates_that_nobody_can_keep(wrong: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="per_second above 0"):
        Rate(*wrong)
