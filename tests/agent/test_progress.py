"""Rates and times to the end."""

from rehost.agent.progress import Rate, eta
from rehost.agent.tally import DiskTally


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.add(0, 100.0) == 0.0
    assert rate.add(500, 105.0) == 100.0
    for second in range(106, 130):
        last = rate.add(500 + 10 * (second - 105), float(second))
    assert last == 10.0


def test_a_new_round_starts_the_rate_anew() -> None:
    rate = Rate()
    rate.add(0, 1.0)
    rate.add(1000, 2.0)
    assert rate.add(10, 3.0) == 0.0
    assert rate.add(30, 4.0) == 20.0


def test_the_end_is_where_the_rate_leads() -> None:
    assert eta(DiskTally(total=100, done=40), 6.0) == 10.0
    assert eta(DiskTally(total=100, done=100), 0.0) == 0.0
    assert eta(DiskTally(total=100, done=40), 0.0) is None
