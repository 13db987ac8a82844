"""Runs share a receiver's bandwidth: equal parts while they use them, all of it for one alone."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.block.volume import VolumeShape
from rehost.receive.shares import Shares
from tests.receive.site import Site

KIB = 1024
CHUNK = 64 * KIB


class Line:
    """Runs that always have more to send, on a clock of their own."""

    def __init__(self, kilobytes: int) -> None:
        self.now = 0.0
        self.shares = Shares(kilobytes, lambda: self.now)

    def run(self, seconds: float, *runs: str) -> dict[str, float]:
        """KB/s of each."""
        came = dict.fromkeys(runs, 0)
        end = self.now + seconds
        while self.now < end:
            for name in runs:
                while not self.shares.wait(name):
                    self.shares.take(name, CHUNK)
                    came[name] += CHUNK
            self.now += 0.01
        return {name: count / seconds / KIB for name, count in came.items()}


@given(st.integers(500, 8000), st.integers(1, 5))
def test_equal_parts_of_the_whole(kilobytes: int, count: int) -> None:
    came = Line(kilobytes).run(30, *map(str, range(count)))
    assert sum(came.values()) == pytest.approx(kilobytes, rel=0.1)
    assert max(came.values()) == pytest.approx(min(came.values()), rel=0.1)


def test_the_part_of_a_run_that_ends_goes_to_the_others() -> None:
    line = Line(4000)
    line.run(10, "a", "b")
    line.run(5, "a")
    assert line.run(20, "a")["a"] == pytest.approx(4000, rel=0.05)
    assert line.run(20, "a", "b")["b"] == pytest.approx(2000, rel=0.1)


def test_a_receiver_holds_its_limit(tmp_path: Path) -> None:
    """Only that it is not faster: how busy this host is cannot make it so."""
    site = Site(tmp_path, [VolumeShape(0, 8 * 256 * KIB, 256 * KIB)])
    site.raise_generation(1)
    site.start(bandwidth=1024)
    try:
        began = time.monotonic()
        with site.sender() as sender:
            sent = [sender.send(0, chunk, os.urandom(256 * KIB)) for chunk in range(8)]
            sender.wait_acked(sent[-1])
            sender.complete()
        assert time.monotonic() - began > 1.0, "2 MiB with 1 MiB a second"
    finally:
        site.stop()


def test_without_a_limit_nobody_waits() -> None:
    shares = Shares(0)
    shares.take("a", 1 << 40)
    assert shares.wait("a") == 0.0
