"""When a message is tried again, and when no more."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.core import delivery
from rehost.core.delivery import Answer, Failing

NO = Answer(500, "the receiver answered 500", 0.1)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_waits_grow_to_an_hour(attempts: int, one: float, other: float) -> None:
    wait = delivery.wait(attempts, one)
    assert delivery.FIRST_WAIT / 2 <= wait <= delivery.LONGEST_WAIT
    assert delivery.wait(attempts, 1.0) / 2 <= wait <= delivery.wait(attempts, 1.0)
    assert delivery.wait(attempts + 1, 1.0) >= delivery.wait(attempts, 1.0)
    assert (one <= other) <= (wait <= delivery.wait(attempts, other))


@given(st.floats(0, 1), st.floats(1e9, 2e9))
def test_a_receiver_that_is_away_is_given_up_after_three_days(chance: float, begin: float) -> None:
    now, failing, tried = begin, Failing(), 0
    while True:
        failing = delivery.failed(failing, now)
        tried += 1
        if delivery.given_up(failing, NO, now):
            break
        now += delivery.wait(failing.attempts, chance)
    assert failing == Failing(tried, begin)
    assert delivery.GIVE_UP <= now - begin <= delivery.GIVE_UP + delivery.LONGEST_WAIT
    assert 80 <= tried <= 160  # about one in an hour, or in half an hour
    assert "500" in delivery.given_up(failing, NO, now)


def test_a_receiver_that_is_gone_is_given_up_at_once() -> None:
    failing = delivery.failed(Failing(), 5.0)
    assert "410" in delivery.given_up(failing, Answer(410, "the receiver answered 410", 0.1), 5.0)
    assert delivery.given_up(failing, NO, 5.0) == ""
