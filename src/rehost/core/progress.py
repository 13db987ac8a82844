"""How far a run is: per cent of the time that it takes, as far as anybody can know. Pure.

A run goes through stages. What a stage takes is what it took in earlier runs; of the copy, what its own rate
says. So the number moves as the clock does, whatever the bytes of one disk or the guest of another cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rehost.core.agentapi import Phase, Progress


class Stage(StrEnum):
    """In the order in which a run goes through them."""

    PREPARING = "preparing"
    COPYING = "copying"
    BUILDING = "building"
    CHECKING = "checking"
    CLEANING = "cleaning"


MEASURED: Mapping[Stage, float] = {
    Stage.PREPARING: 1.0,
    Stage.COPYING: 60.0,
    Stage.BUILDING: 15.0,
    Stage.CHECKING: 30.0,
    Stage.CLEANING: 1.0,
}
"""Seconds before there is a run to go by: those of the demonstration, two cores without KVM, rounded."""

# How much of a stage is said to be done when it has taken as long as expected, and at most while it takes
# longer: the first boot check on a host under heavy load took 188 s. These are not to be minutes at 99 %.
_IN_TIME, _AT_MOST = 0.8, 0.9
_FACTORS = (0.25, 10.0)  # by how much building tells that this host is slower or faster than expected

# Where the first round and the deltas end, as parts of a copy. The demonstration's, whose writes are tracked,
# took 40.8 s, 0.5 s and 1.2 s. What is not tracked is read three times, and reading is half of a copy.
_ROUNDS = (0.95, 0.97)
_ROUNDS_UNTRACKED = (0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Course:
    """The way of one start of a run through its stages."""

    stage: Stage
    since: float  # Unix seconds
    seconds: dict[Stage, float]  # what each takes: as it was for those that are past, as expected for others
    untracked: bool = False  # some disk's writes are not, so that each round of the copy is like the first


def begun(stage: Stage, now: float, expected: Mapping[Stage, float]) -> Course:
    """At a stage, without those before it."""
    order = list(Stage)
    ahead = order[order.index(stage) :]
    return Course(stage, now, {each: expected[each] for each in ahead})


def resumed(course: Course | None, stage: Stage, now: float, expected: Mapping[Stage, float]) -> Course:
    """At a stage anew: what those before it took stays known."""
    anew, order = begun(stage, now, expected), list(Stage)
    past = order[: order.index(stage)] if course else []
    took = {each: course.seconds[each] for each in past if course and each in course.seconds}
    return replace(anew, seconds=took | anew.seconds)


def entered(course: Course, stage: Stage, now: float) -> Course:
    """The stage before has ended; a repeated call changes nothing.

    Building and checking are both the work of a virtual machine: what the first took tells of the second.
    """
    if stage is course.stage:
        return course
    after = ended(course, now)
    seconds = after.seconds
    if course.stage is Stage.BUILDING and course.seconds[Stage.BUILDING] > 0:
        least, most = _FACTORS
        factor = seconds[Stage.BUILDING] / course.seconds[Stage.BUILDING]
        seconds = seconds | {Stage.CHECKING: seconds[Stage.CHECKING] * min(max(factor, least), most)}
    return Course(stage, now, seconds, course.untracked)


def ended(course: Course, now: float) -> Course:
    """What the present stage took is known."""
    return replace(course, seconds=course.seconds | {course.stage: max(0.0, now - course.since)})


def copied(course: Course, progress: Progress) -> tuple[Course, float]:
    """What the agent's figures say: how long the copy takes at its rate, and how much of it is done."""
    if progress.phase is Phase.COPYING:
        untracked = any(disk.backlog is None for disk in progress.disks)
        course = replace(course, untracked=untracked)
    low, high = _round(course, progress)
    total = sum(disk.total for disk in progress.disks)
    left = sum(disk.total - disk.done for disk in progress.disks)
    fraction = high - (high - low) * left / total if total else low
    rate = sum(disk.rate for disk in progress.disks)
    if rate > 0 and left > 0:
        whole = left / rate / (high - fraction)
        course = replace(course, seconds=course.seconds | {Stage.COPYING: whole})
    return course, fraction


def _round(course: Course, progress: Progress) -> tuple[float, float]:
    """The span of the present round in the copy; deltas share one."""
    first, deltas = _ROUNDS_UNTRACKED if course.untracked else _ROUNDS
    if progress.phase in (Phase.FREEZING, Phase.COMPLETING):
        return deltas, 1.0
    return (0.0, first) if progress.round == 1 else (first, deltas)


def by_time(course: Course, now: float) -> float:
    """How much of a stage is done of which only the time is known."""
    expected, passed = course.seconds[course.stage], max(0.0, now - course.since)
    if passed <= expected:
        return _IN_TIME * passed / expected if expected else 0.0
    return _AT_MOST - (_AT_MOST - _IN_TIME) * expected / passed


def percent(course: Course, fraction: float) -> float:
    """Of the whole run, for a fraction (0 to 1) of its present stage."""
    past = 0.0
    for stage, seconds in ((stage, course.seconds.get(stage, 0.0)) for stage in Stage):
        if stage is course.stage:
            past += seconds * fraction
            break
        past += seconds
    whole = sum(course.seconds.values())
    return 100.0 * past / whole if whole else 0.0


def expected(courses: Sequence[Course]) -> dict[Stage, float]:
    """What each stage took in the middle of some runs that have ended."""
    took = {stage: [c.seconds[stage] for c in courses if stage in c.seconds] for stage in Stage}
    return {stage: _median(took[stage]) if took[stage] else MEASURED[stage] for stage in Stage}


def _median(values: Sequence[float]) -> float:
    """Of at least one. The standard library's is in a module that the agent's file need not carry for it."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
