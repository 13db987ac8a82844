"""Rounds of a run: the baseline, deltas while they shrink, then the final one under freeze. Pure.

A run that builds on the one before it begins with a delta: it looks at what was written since.

Before each round the length of the freeze is predicted as if it began now (`core.freezing`). Why it is
decided so: docs/decisions/0014.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rehost.core.errors import FreezeError, NotConvergingError
from rehost.core.freezing import Forecast, FreezeBefore, dirty_rate, forecast, forecast_text, send_rate
from rehost.core.roundreport import RoundKind as RoundKind
from rehost.core.roundreport import RoundReport as RoundReport
from rehost.core.units import rate_text

SHRINKS = 0.75  # a round that leaves more than this part of what the one before left does not shrink
WORTH = 0.5  # other rounds are made while they can take more than this part of the target from the freeze

_FIRST = FreezeBefore()
_ADVICE = (
    "raise freeze_deadline, bandwidth_limit or streams (ReplicationParameters), or start the job again when "
    "less is written to the source"
)


class NotConverging(StrEnum):
    """What a run does whose disks are written faster than they are sent."""

    FREEZE = "freeze"  # take the final round all the same, if it is expected to end before the deadline
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RoundLimits:
    freeze_target: float = 1.0  # seconds: a freeze expected to be as short as that is taken
    freeze_deadline: float = 60.0  # seconds: one that is expected to be longer is not begun
    most_rounds: int = 10  # deltas at most
    not_converging: NotConverging = NotConverging.FREEZE
    buffered: int = 0  # this and the next: see `core.freezing.forecast`
    before: FreezeBefore = _FIRST


@dataclass(frozen=True, slots=True)
class Step:
    """The next round; why a final one is taken now, and how many seconds its freeze is expected to be."""

    kind: RoundKind
    reason: str = ""
    seconds: float = 0.0


def next_round(done: Sequence[RoundReport], limits: RoundLimits) -> Step:
    """The round after those that are done, none of them final.

    Deltas go on while they shrink and the freeze is expected to be longer than its target.
    NotConvergingError when they do not shrink and the job wants no freeze then, FreezeError when the freeze
    would end at its deadline in vain.
    """
    if not done:
        return Step(RoundKind.BASELINE)
    deltas = sum(past.kind is RoundKind.DELTA for past in done)
    if not deltas:
        return Step(RoundKind.DELTA)
    expected = freeze_forecast(done, limits)
    if expected.seconds <= limits.freeze_target:
        return _final(done, limits, f"within the target of {limits.freeze_target:g} s")
    if expected.variable <= WORTH * limits.freeze_target:
        return _final(done, limits, _fixed(expected, limits))
    if not _shrinks(done):
        return _not_converging(done, limits)
    if deltas >= limits.most_rounds:
        return _final(done, limits, f"{deltas} deltas are done, and no more are allowed (most_rounds)")
    return Step(RoundKind.DELTA)


def freeze_forecast(done: Sequence[RoundReport], limits: RoundLimits) -> Forecast:
    return forecast(done, limits.buffered, limits.before)


def beyond_target(done: Sequence[RoundReport], limits: RoundLimits) -> str:
    """That the freeze will miss its target whatever other rounds do, for people; empty if that is not so.

    Not after a baseline: that one starts the tracking, too, which takes a moment.
    """
    if not any(past.kind is RoundKind.DELTA for past in done):
        return ""
    expected = freeze_forecast(done, limits)
    if expected.fixed <= limits.freeze_target:
        return ""
    return (
        f"a freeze takes at least {expected.fixed:.2g} s here, its target is {limits.freeze_target:g} s, and"
        f" other rounds do not change that: {expected.fixed_text()}"
    )


def _fixed(expected: Forecast, limits: RoundLimits) -> str:
    return (
        f"no other round makes it much shorter: {expected.fixed:.2g} s of it stay whatever rounds do, the"
        f" target is {limits.freeze_target:g} s"
    )


def _shrinks(done: Sequence[RoundReport]) -> bool:
    return len(done) < 2 or done[-1].left <= SHRINKS * done[-2].left


def _not_converging(done: Sequence[RoundReport], limits: RoundLimits) -> Step:
    figures = (
        f"not converging: {rate_text(dirty_rate(done))} are written and {rate_text(send_rate(done))} are "
        "sent, and rounds no longer shrink"
    )
    if limits.not_converging is NotConverging.FAIL:
        expected = forecast_text(freeze_forecast(done, limits), done)
        raise NotConvergingError(
            f"{figures}; {expected}, the freeze target is {limits.freeze_target:g} s",
            f'{_ADVICE}; or raise freeze_target, or have not_converging="freeze"',
        )
    return _final(done, limits, figures)


def _final(done: Sequence[RoundReport], limits: RoundLimits, why: str) -> Step:
    expected = freeze_forecast(done, limits)
    text = f"{why}; {forecast_text(expected, done)}"
    if expected.seconds > limits.freeze_deadline:
        raise FreezeError(f"{text}, the freeze deadline is {limits.freeze_deadline:g} s", _ADVICE)
    return Step(RoundKind.FINAL, text, expected.seconds)
