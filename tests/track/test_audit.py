"""What the comparison with the kernel's statistics says."""

import pytest

from rehost.track.audit import Bounds, Look, Verdict, bounds, judge


def test_the_beginning_is_exact_in_a_quiet_moment() -> None:
    """The kernel may be a moment late: the highest of several looks is the one that was not."""
    looks = [Look(10, 110, 18), Look(18, 110, 18), Look(18, 118, 18)]
    assert bounds(looks) == Bounds(100, 100)


def test_without_a_quiet_moment_it_lies_between() -> None:
    assert bounds([Look(10, 114, 18), Look(18, 120, 26)]) == Bounds(96, 104)


@pytest.mark.parametrize(
    ("look", "verdict"),
    [
        (Look(50, 150, 50), Verdict.EQUAL),
        (Look(50, 158, 50), Verdict.MISSED),
        (Look(50, 142, 50), Verdict.SURPLUS),
        (Look(50, 155, 58), Verdict.BUSY),
        (Look(50, 166, 58), Verdict.MISSED),  # even if all that came meanwhile is counted
    ],
)
def test_a_verdict(look: Look, verdict: Verdict) -> None:
    assert judge(look, Bounds(100, 100)) is verdict


def test_a_loss_inside_the_bounds_cannot_be_told() -> None:
    assert judge(Look(50, 148, 50), Bounds(96, 104)) is Verdict.EQUAL
    assert judge(Look(50, 158, 50), Bounds(96, 104)) is Verdict.MISSED
