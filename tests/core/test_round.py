"""Rounds: however a disk changes, a run ends, with the baseline first and one final round last."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import FreezeError, NotConvergingError
from rehost.core.freezing import FreezeBefore
from rehost.core.round import (
    NotConverging,
    RoundKind,
    RoundLimits,
    RoundReport,
    beyond_target,
    freeze_forecast,
    next_round,
)

BASELINE, DELTA, FINAL = RoundKind.BASELINE, RoundKind.DELTA, RoundKind.FINAL
MIB = 1 << 20
LIMITS = RoundLimits(freeze_target=1.0, freeze_deadline=60.0, most_rounds=4)
sizes = st.integers(0, 1 << 40)


def freeze_seconds(done: list[RoundReport], limits: RoundLimits) -> float:
    return freeze_forecast(done, limits).seconds


def report(
    number: int, changed: int, seconds: float = 1.0, *, backlog: int = 0, untracked: int = 0
) -> RoundReport:
    """A round that read what it sent, at 100 MiB/s."""
    read = max(changed, untracked)
    kind = DELTA if number > 1 else BASELINE
    return RoundReport(
        kind, number, read, changed, changed, seconds, changed, read / (100 * MIB), backlog, untracked
    )


def rounds(left: list[int], limits: RoundLimits = LIMITS) -> list[RoundKind]:
    """The kinds of a run's rounds of which each leaves so much to the next (the last figure repeated).

    Writes are tracked, and a second's round sends 100 MiB.
    """
    done: list[RoundReport] = []
    work = 10_000 * MIB
    while (step := next_round(done, limits)).kind is not FINAL:
        backlog = left[min(len(done), len(left) - 1)]
        done.append(report(len(done) + 1, work, max(work, 1) / (100 * MIB), backlog=backlog))
        work = backlog
        assert len(done) <= limits.most_rounds + 1
    assert step.reason
    return [past.kind for past in done] + [step.kind]


@given(st.lists(sizes, min_size=1, max_size=12), st.integers(1, 9), st.floats(0.1, 10))
def test_every_run_is_a_baseline_some_deltas_and_one_final_round(
    left: list[int], most: int, target: float
) -> None:
    kinds = rounds(left, RoundLimits(target, 1e12, most))
    assert kinds[0] is BASELINE
    assert kinds[-1] is FINAL
    assert 1 <= len(kinds[1:-1]) <= most
    assert set(kinds[1:-1]) == {DELTA}


@given(st.lists(sizes, min_size=2, max_size=12), sizes, st.floats(0.1, 100), st.sampled_from(NotConverging))
def test_what_is_decided_keeps_to_the_limits(
    left: list[int], untracked: int, target: float, what: NotConverging
) -> None:
    limits = RoundLimits(target, 2 * target, 3, what, buffered=MIB)
    done = [report(n + 1, size, 3.0, backlog=size, untracked=untracked) for n, size in enumerate(left)]
    try:
        kind = next_round(done, limits).kind
    except NotConvergingError:
        assert freeze_seconds(done, limits) > target
    except FreezeError:
        assert freeze_seconds(done, limits) > 2 * target
    else:
        assert kind is FINAL if len(done) > 3 else kind in (DELTA, FINAL)
        if kind is FINAL:
            assert freeze_seconds(done, limits) <= 2 * target


@given(sizes, sizes, sizes, sizes, sizes)
def test_the_more_is_left_the_longer_the_freeze(
    changed: int, backlog: int, untracked: int, more: int, buffered: int
) -> None:
    past = report(1, changed, 2.0, backlog=backlog, untracked=untracked)
    limits = replace(LIMITS, buffered=buffered)
    seconds = freeze_seconds([past], limits)
    assert freeze_seconds([replace(past, backlog=backlog + more)], limits) >= seconds
    assert freeze_seconds([replace(past, touched=backlog + more)], limits) >= seconds  # scattered
    assert freeze_seconds([replace(past, untracked=untracked + more)], limits) >= seconds
    assert freeze_seconds([past], replace(limits, buffered=buffered + more)) <= seconds


def test_a_quiet_disk_needs_one_delta() -> None:
    assert rounds([0]) == [BASELINE, DELTA, FINAL]
    assert rounds([10 * MIB]) == [BASELINE, DELTA, FINAL]


@given(st.lists(sizes, min_size=1, max_size=12))
def test_a_run_that_builds_on_another_begins_with_a_delta(left: list[int]) -> None:
    done = [replace(report(1, left[0], 2.0, backlog=left[0]), kind=DELTA)]
    limits = replace(LIMITS, freeze_deadline=1e12)
    while (step := next_round(done, limits)).kind is not FINAL:
        size = left[min(len(done), len(left) - 1)]
        done.append(replace(report(len(done) + 1, size, 2.0, backlog=size), kind=step.kind))
    assert {past.kind for past in done} == {DELTA}
    assert len(done) <= limits.most_rounds


def test_deltas_go_on_while_they_shrink_and_the_freeze_is_too_long() -> None:
    assert rounds([3000 * MIB, 900 * MIB, 300 * MIB, 40 * MIB]) == [BASELINE, DELTA, DELTA, DELTA, FINAL]
    assert rounds([3000 * MIB, 2900 * MIB, 300 * MIB]) == [BASELINE, DELTA, FINAL]


def test_there_are_at_most_so_many_deltas() -> None:
    shrinking = [2000 * MIB * 7**n // 10**n for n in range(9)]
    assert rounds(shrinking) == [BASELINE, DELTA, DELTA, DELTA, DELTA, FINAL]
    done = [report(n + 1, left, left / (100 * MIB), backlog=left) for n, left in enumerate(shrinking[:5])]
    assert "4 deltas are done" in next_round(done, LIMITS).reason


def test_a_disk_that_is_written_faster_than_it_is_sent() -> None:
    done = [report(1, 8000 * MIB, 80.0, backlog=900 * MIB), report(2, 900 * MIB, 9.0, backlog=990 * MIB)]
    reason = next_round(done, LIMITS).reason
    assert "not converging: 110.0 MiB/s are written and 100.0 MiB/s are sent" in reason
    assert "20 s expected for 990.0 MiB" in reason
    with pytest.raises(NotConvergingError, match=r"not converging: 110\.0 MiB/s .* target is 1 s") as refused:
        next_round(done, replace(LIMITS, not_converging=NotConverging.FAIL))
    assert "bandwidth_limit" in refused.value.advice
    assert "freeze_target" in refused.value.advice
    with pytest.raises(FreezeError, match="deadline is 5 s"):
        next_round(done, replace(LIMITS, freeze_deadline=5.0))


def test_a_disk_that_is_not_tracked_is_all_compared_in_the_freeze() -> None:
    done = [report(1, 800 * MIB, 10.0, untracked=1000 * MIB), report(2, 10 * MIB, 10.0, untracked=1000 * MIB)]
    step = next_round(done, replace(LIMITS, buffered=32 * MIB))
    assert step.kind is FINAL
    assert "no other round makes it much shorter: 10 s of it stay whatever rounds do" in step.reason
    assert "10 s expected for 1000.0 MiB to be read" in step.reason
    with pytest.raises(FreezeError, match=r"10 s expected .* the freeze deadline is 5 s"):
        next_round(done, replace(LIMITS, freeze_deadline=5.0))


def test_what_changes_on_a_disk_that_is_not_tracked_is_sent_before_the_freeze() -> None:
    done = [report(1, 900 * MIB, 9.0, untracked=1000 * MIB), report(2, 400 * MIB, 9.0, untracked=1000 * MIB)]
    assert next_round(done, LIMITS).kind is DELTA
    done.append(report(3, 50 * MIB, 9.0, untracked=1000 * MIB))
    assert next_round(done, LIMITS).kind is FINAL


@pytest.mark.parametrize("what", NotConverging)
@given(st.floats(1.01, 59), st.integers(0, 50))
def test_a_freeze_that_is_long_whatever_rounds_do_is_taken_and_said_to_be(
    what: NotConverging, looking: float, left: int
) -> None:
    limits = replace(LIMITS, not_converging=what, buffered=50 * MIB)
    done = [replace(report(n, left * MIB, backlog=left * MIB), looking=looking) for n in (1, 2)]
    assert beyond_target(done, limits).startswith(f"a freeze takes at least {looking:.2g} s here")
    step = next_round(done, limits)
    assert step.kind is FINAL
    assert step.reason.startswith("no other round makes it much shorter")
    assert step.seconds == freeze_seconds(done, limits) >= looking


def test_rounds_go_on_while_they_shorten_a_freeze_that_misses_its_target_anyway() -> None:
    done = [
        replace(report(n, 400 * MIB, backlog=size * MIB), syncing=2.0) for n, size in ((1, 900), (2, 400))
    ]
    assert next_round(done, LIMITS).kind is DELTA
    assert "2 s to freeze and thaw the file systems" in beyond_target(done, LIMITS)


def test_what_the_run_before_needed_to_freeze_and_thaw_is_expected_again() -> None:
    done = [report(1, 0), replace(report(2, 0), syncing=0.01)]
    assert freeze_seconds(done, LIMITS) == 0.01
    assert freeze_seconds(done, replace(LIMITS, before=FreezeBefore(standing=0.7))) == 0.7


def test_what_is_written_until_the_freeze_begins_is_read_in_it() -> None:
    done = [report(1, 900 * MIB, 9.0), report(2, 100 * MIB, 1.0, backlog=20 * MIB)]
    limits = replace(LIMITS, buffered=40 * MIB)
    assert freeze_seconds(done, limits) == pytest.approx(0.2)
    assert freeze_seconds(done, replace(limits, before=FreezeBefore(lead=0.5))) == pytest.approx(0.3)


def test_a_freeze_waits_for_answers_of_a_distant_receiver() -> None:
    done = [report(1, 0), replace(report(2, 0), answer=0.2, trips=9)]
    assert freeze_seconds(done, LIMITS) == pytest.approx(1.8)
    assert beyond_target(done, LIMITS) == ""


def test_what_the_freeze_takes_is_known_after_a_delta() -> None:
    baseline = replace(report(1, 0), looking=2.0)
    assert beyond_target([], LIMITS) == beyond_target([baseline], LIMITS) == ""
    assert beyond_target([baseline, report(2, 0)], LIMITS) == ""


def test_the_work_of_what_is_scattered_is_expected_again() -> None:
    done = [replace(report(1, 900 * MIB, 9.0), working=1.0), replace(report(2, 4 * MIB), working=0.5)]
    done.append(replace(report(3, 0, backlog=2 * MIB), working=0.01))
    assert freeze_seconds(done, replace(LIMITS, buffered=2 * MIB)) == pytest.approx(0.02 + 0.25)
