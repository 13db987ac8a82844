"""The token bucket's arithmetic, without a clock."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.bandwidth import Bucket, Limit, take

RATE = 1000.0
asks = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), min_size=1, max_size=50)


def sent_at(asked: list[tuple[int, float]]) -> list[tuple[float, int]]:
    """When each amount goes, if a sender waits as it is told and then pauses."""
    bucket, now, sent = Bucket(RATE, 0.0, 0.0), 0.0, []
    for amount, pause in asked:
        bucket, wait = take(bucket, amount, now)
        now += wait
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
            allowed = RATE * (sent[end][0] - sent[start][0]) + Bucket(RATE, 0, 0).most + sent[end][1]
            assert amount <= allowed + sent[start][1] + 1e-3


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=50))
def test_a_busy_sender_gets_the_whole_rate(amounts: list[int]) -> None:
    sent = sent_at([(amount, 0.0) for amount in amounts])
    before_last = sum(amounts[:-1])
    assert abs(sent[-1][0] - before_last / RATE) < 1e-6 * len(amounts) + 1e-6


def test_no_limit_never_waits() -> None:
    limit = Limit(0)
    assert limit.reserve(1 << 30) <= limit.reserve(1 << 30)


def test_what_goes_at_once_is_paid_for_afterwards() -> None:
    limit = Limit(1)
    limit.lifted = True
    first = limit.reserve(10 * 1024)
    assert limit.reserve(10 * 1024) - first < 5
    limit.lifted = False
    assert limit.reserve(1) - first > 15
