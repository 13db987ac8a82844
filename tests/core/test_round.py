"""Rounds: however a disk changes, a run ends, with the baseline first and one final round last."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.core.round import RoundKind, RoundLimits, RoundReport, next_round

BASELINE, DELTA, FINAL = RoundKind.BASELINE, RoundKind.DELTA, RoundKind.FINAL
LIMITS = RoundLimits(most_rounds=4, small=100)


def rounds(changes: list[int], limits: RoundLimits = LIMITS) -> list[RoundKind]:
    """The kinds of a run's rounds if its rounds change so many bytes (the last figure repeated)."""
    done: list[RoundReport] = []
    while (kind := next_round(done, limits)) is not None:
        changed = changes[min(len(done), len(changes) - 1)]
        done.append(RoundReport(kind, len(done) + 1, 1000, changed, changed, 1.0))
        assert len(done) <= limits.most_rounds + 2
    return [report.kind for report in done]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12), st.integers(1, 9), st.integers(0, 10**5))
def test_every_run_is_a_baseline_some_deltas_and_one_final_round(
    changes: list[int], most: int, small: int
) -> None:
    kinds = rounds(changes, RoundLimits(most, small))
    assert kinds[0] is BASELINE
    assert kinds[-1] is FINAL
    assert 1 <= len(kinds[1:-1]) <= most
    assert set(kinds[1:-1]) == {DELTA}


def test_a_quiet_disk_needs_one_delta() -> None:
    assert rounds([10**6, 0]) == [BASELINE, DELTA, FINAL]
    assert rounds([10**6, 100]) == [BASELINE, DELTA, FINAL]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_a_run_that_builds_on_another_begins_with_a_delta(changes: list[int]) -> None:
    done: list[RoundReport] = []
    while (kind := next_round(done, LIMITS)) is not None:
        kind = DELTA if kind is BASELINE else kind
        changed = changes[min(len(done), len(changes) - 1)]
        done.append(RoundReport(kind, len(done) + 1, 1000, changed, changed, 1.0))
    assert [report.kind for report in done[-2:]] == [DELTA, FINAL]
    assert (len(done) == 2) == (changes[0] <= LIMITS.small)


def test_deltas_go_on_while_they_shrink() -> None:
    assert rounds([10**6, 10**5, 10**4, 50]) == [BASELINE, DELTA, DELTA, DELTA, FINAL]


def test_deltas_that_do_not_halve_are_the_last_ones() -> None:
    assert rounds([10**6, 10**5, 10**5]) == [BASELINE, DELTA, DELTA, FINAL]
    assert rounds([10**6, 10**6]) == [BASELINE, DELTA, FINAL]


def test_there_are_at_most_so_many_deltas() -> None:
    assert rounds([10**6 // 3**n for n in range(9)]) == [BASELINE, DELTA, DELTA, DELTA, DELTA, FINAL]
