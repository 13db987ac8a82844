"""Per cent that a person can trust: it only grows, with the time, and never stands still near the end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core import progress as p
from rehost.core.agentapi import DiskProgress, Phase, Progress
from rehost.core.progress import MEASURED, Course, Stage
from rehost.core.round import RoundKind

SECONDS = st.fixed_dictionaries(dict.fromkeys(Stage, st.floats(0.1, 1e5)))


def figures(
    done: int, rate: float = 10.0, number: int = 1, phase: Phase = Phase.COPYING, backlog: int | None = 0
) -> Progress:
    disk = DiskProgress(0, 1000, done, done, done, done, rate, None, backlog=backlog)
    return Progress("r", 1, phase, number, RoundKind.BASELINE, (disk,))


def copying() -> Course:
    return p.entered(p.begun(Stage.PREPARING, 0.0, MEASURED), Stage.COPYING, 1.0)


@given(SECONDS, SECONDS)
def test_whatever_stages_take_it_never_falls_beyond_and_ends_below_100(
    expected: dict[Stage, float], takes: dict[Stage, float]
) -> None:
    """Stages that only the time tells of."""
    now, seen = 0.0, []
    course = p.begun(Stage.PREPARING, now, expected)
    for stage in Stage:
        course = p.entered(course, stage, now)
        for part in (0.25, 0.5, 1.0):
            value = p.percent(course, p.by_time(course, now + part * takes[stage]))
            seen.append(value)
            assert 0 <= value < 100
        now += takes[stage]
    assert p.ended(course, now).seconds == pytest.approx(takes, rel=1e-6, abs=1e-6)


@given(SECONDS)
def test_a_run_that_takes_what_is_expected_moves_with_the_clock(takes: dict[Stage, float]) -> None:
    now, whole = 0.0, sum(takes.values())
    course = p.begun(Stage.PREPARING, now, takes)
    for stage in Stage:
        course = p.entered(course, stage, now)
        assert p.percent(course, 0.0) == pytest.approx(100 * now / whole, abs=1e-6)
        half = p.percent(course, p.by_time(course, now + takes[stage] / 2))
        assert half <= 100 * (now + takes[stage] / 2) / whole + 1e-6
        now += takes[stage]


def test_a_stage_that_is_taken_over_keeps_what_those_before_it_took() -> None:
    course = p.entered(copying(), Stage.BUILDING, 61.0)
    again = p.resumed(course, Stage.BUILDING, 90.0, MEASURED)
    assert p.percent(again, 0.0) == pytest.approx(p.percent(course, 0.0))
    assert again.since == 90.0
    assert p.resumed(None, Stage.BUILDING, 90.0, MEASURED) == p.begun(Stage.BUILDING, 90.0, MEASURED)


def test_a_boot_check_that_takes_ever_longer_moves_on_and_is_not_at_99() -> None:
    course = p.entered(copying(), Stage.BUILDING, 61.0)
    course = p.entered(course, Stage.CHECKING, 76.0)
    seen = [p.percent(course, p.by_time(course, 76.0 + seconds)) for seconds in (15, 30, 60, 180, 3600)]
    assert seen == sorted(set(seen))
    assert seen[-1] < 97.5


def test_a_host_that_builds_slowly_checks_slowly() -> None:
    """As it was on a host under heavy load: building 67 s instead of 15, checking 188 s instead of 30."""
    course = p.entered(copying(), Stage.BUILDING, 61.0)
    course = p.entered(course, Stage.CHECKING, 61.0 + 67.0)
    assert course.seconds[Stage.CHECKING] == pytest.approx(134, abs=1)
    assert p.percent(course, 0.0) == pytest.approx(100 * 128 / (128 + 134 + 1), abs=1)


def test_a_copy_takes_as_long_as_its_rate_says() -> None:
    course, fraction = p.copied(copying(), figures(500, rate=1.0))
    assert fraction == pytest.approx(0.475)
    assert course.seconds[Stage.COPYING] == pytest.approx(500 / 0.475)
    assert p.percent(course, fraction) == pytest.approx(100 * 501 / (1 + 500 / 0.475 + 46), rel=1e-3)


def test_a_copy_whose_rate_is_not_known_keeps_what_was_expected() -> None:
    course, _ = p.copied(copying(), figures(500, rate=1.0))
    again, _ = p.copied(course, figures(500, rate=0.0))
    assert again == course


@pytest.mark.parametrize("backlog", [0, None])
def test_the_rounds_of_a_copy_follow_each_other(backlog: int | None) -> None:
    """What is not tracked is read in each round: the first one is half of the copy, not nearly all of it."""
    course, seen = copying(), []
    for told in (
        figures(0, backlog=backlog), figures(1000, backlog=backlog),
        figures(0, number=2, backlog=backlog), figures(1000, number=2, backlog=backlog),
        figures(0, number=3, phase=Phase.FREEZING, backlog=None),
        figures(1000, number=3, phase=Phase.COMPLETING, backlog=None),
    ):  # fmt: skip
        course, fraction = p.copied(course, told)
        seen.append(fraction)
    first, deltas = (0.95, 0.97) if backlog == 0 else (0.5, 0.75)
    assert seen == pytest.approx([0.0, first, first, deltas, deltas, 1.0])


def test_a_later_runs_first_round_is_a_first_round() -> None:
    """Though it only looks at what was written since: else an incremental run would begin at 95 %."""
    told = replace(figures(500), kind=RoundKind.DELTA)
    assert p.copied(copying(), told)[1] == pytest.approx(0.475)


def test_what_stages_took_is_what_they_are_expected_to_take() -> None:
    def ran(*seconds: float) -> Course:
        return Course(Stage.CLEANING, 0.0, dict(zip(Stage, seconds, strict=True)))

    assert p.expected([]) == dict(MEASURED)
    found = p.expected([ran(1, 10, 100, 30, 1), ran(3, 20, 9, 40, 1), ran(2, 900, 8, 50, 1)])
    assert found == {
        Stage.PREPARING: 2, Stage.COPYING: 20, Stage.BUILDING: 9, Stage.CHECKING: 40, Stage.CLEANING: 1,
    }  # fmt: skip
    only_cleaned = p.begun(Stage.CLEANING, 0.0, MEASURED)
    assert p.expected([only_cleaned]) == dict(MEASURED)
    assert p.percent(only_cleaned, 0.5) == 50.0
