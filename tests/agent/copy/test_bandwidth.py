"""The token bucket's arithmetic, without a clock; and the limit of a run that goes by the clock."""

import time

from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.copy.bandwidth import Limit
from rehost.core.bandwidth import Window
from rehost.core.bucket import Bucket

RATE = 1000.0
BURST = RATE * 0.25
asks = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), min_size=1, max_size=50)


def sent_at(asked: list[tuple[int, float]], rate: float = RATE) -> list[tuple[float, int]]:
    """When each amount goes, if a sender waits as it is told and then pauses."""
    bucket, now, sent = Bucket(), 0.0, []
    for amount, pause in asked:
        before, bucket = bucket.taken, bucket.take(amount).paid_by(now, rate)
        now += bucket.wait(before, rate)
        bucket = bucket.paid_by(now, rate)
        sent.append((now, amount))
        now += pause
    return sent


@given(asks)
def test_no_stretch_of_time_carries_more_than_rate_burst_and_one_frame(
    asked: list[tuple[int, float]],
) -> None:
    sent = sent_at(asked)
    for start in range(len(sent)):
        amount = 0
        for end in range(start, len(sent)):
            amount += sent[end][1]
            allowed = RATE * (sent[end][0] - sent[start][0]) + BURST + sent[end][1]
            assert amount <= allowed + sent[start][1] + 1e-3


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=50))
def test_a_busy_sender_gets_the_whole_rate(amounts: list[int]) -> None:
    sent = sent_at([(amount, 0.0) for amount in amounts])
    before_last = sum(amounts[:-1])
    assert abs(sent[-1][0] - before_last / RATE) < 1e-6 * len(amounts) + 1e-6


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0.001, 10), st.floats(1, 1e6))
def test_what_waits_goes_by_the_rate_that_is_now(first: int, second: int, passed: float, rate: float) -> None:
    bucket = Bucket().take(first).take(second).paid_by(passed, RATE)
    left = max(0.0, first - passed * RATE)
    assert abs(bucket.wait(float(first), rate) - left / rate) < 1e-6


def test_no_limit_never_waits() -> None:
    limit = Limit(0)
    limit.reserve(1 << 30)
    assert limit.wait(limit.reserve(1 << 30)) == 0


@given(st.integers(1, 1 << 31), st.integers(1, 1 << 20))
def test_little_goes_together_under_a_low_limit(kilobytes: int, left: int) -> None:
    limit = Limit(kilobytes)
    piece = limit.piece(left)
    assert 1 <= piece <= left
    assert piece <= max(4096, kilobytes * 1024 // 20)
    limit.lifted = True
    assert limit.piece(left) == Limit(0).piece(left) == left


def test_what_goes_at_once_is_paid_for_afterwards() -> None:
    limit = Limit(1)
    limit.lifted = True
    limit.reserve(10 * 1024)
    later = limit.reserve(10 * 1024)
    assert limit.wait(later) == 0
    limit.lifted = False
    assert 5 < limit.wait(later) < 11


def test_a_schedule_holds_for_what_waits_already() -> None:
    now = [7 * 60 + 59]
    limit = Limit(1024, [Window(8 * 60, 18 * 60, 1)], lambda: now[0])
    limit.reserve(100 << 10)
    later = limit.reserve(1)
    assert limit.wait(later) < 1
    now[0] = 8 * 60
    assert 50 < limit.wait(later) < 101
    now[0] = 18 * 60
    assert limit.wait(later) < 1


def test_a_time_without_a_limit_is_not_paid_for_afterwards() -> None:
    now = [0]
    limit = Limit(0, [Window(1, 2, 1)], lambda: now[0])
    limit.wait(limit.reserve(100 << 20))
    now[0] = 1
    assert limit.wait(limit.reserve(1)) == 0
    time.sleep(0.01)
    assert limit.wait(limit.reserve(1024)) < 1
