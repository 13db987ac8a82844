"""Rates and times to the end."""

import time

from rehost.agent.copy.tally import DiskTally
from rehost.agent.progress import Backlog, Rate, eta


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


class Slow:
    """A map that takes a tenth of a second to look at."""

    def __init__(self) -> None:
        self.looks = 0

    def pending(self, volume: int) -> int | None:
        self.looks += 1
        time.sleep(0.1)
        return self.looks

    def unreadable(self, volume: int) -> int:
        return 0


def test_a_large_map_is_looked_at_seldom() -> None:
    watched = Slow()
    backlog = Backlog(watched)
    assert [backlog.of(0, float(second)) for second in range(5)] == [1] * 5
    assert backlog.of(1, 4.0) == 2
    assert backlog.of(0, 1000.0) == 3
