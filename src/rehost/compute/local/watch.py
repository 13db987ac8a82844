"""Watching a console until the boot is done, dead, or out of time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rehost.compute import milestones
from rehost.compute.driver import BootVerdict, Milestone
from rehost.compute.milestones import Reading, Stage

INTERVAL = 0.25  # seconds between two looks
LAST_WORDS = 1.0  # seconds that a dying guest has for the rest of its message


@dataclass(frozen=True, slots=True)
class Seen:
    """A verdict and, where it is a bad one, what a person can do."""

    verdict: BootVerdict
    advice: str = ""


class Stopwatch:
    """When each stage was seen first, in seconds since power on."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._first: dict[Stage, float] = {}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def note(self, stages: tuple[Stage, ...]) -> None:
        for stage in stages:
            self._first.setdefault(stage, round(self.seconds, 2))

    def milestones(self) -> tuple[Milestone, ...]:
        return tuple(Milestone(stage, self._first[stage]) for stage in Stage if stage in self._first)


def watch(console: Callable[[], str], running: Callable[[], bool], deadline: float) -> Seen:
    """The end of a boot that starts now; `console` gives all the text so far, `deadline` is in seconds."""
    stopwatch = Stopwatch()
    while True:
        alive = running()  # asked before reading, so that the last words of an ended machine are seen
        reading = milestones.read(console())
        stopwatch.note(reading.stages)
        late = stopwatch.seconds > deadline
        if (seen := _judge(reading, alive, late, stopwatch.milestones())) is not None:
            time.sleep(0 if seen.verdict.ok else LAST_WORDS)
            return seen
        time.sleep(INTERVAL)


def _judge(reading: Reading, alive: bool, late: bool, reached: tuple[Milestone, ...]) -> Seen | None:
    if reading.at_login:
        return Seen(BootVerdict(True, "ok", reached))
    if reading.death is not None:
        return Seen(BootVerdict(False, reading.death.verdict, reached), reading.death.advice)
    if not alive:
        return Seen(
            BootVerdict(False, milestones.ended_verdict(reading), reached), "see the end of the serial log"
        )
    if late:
        return Seen(
            BootVerdict(False, milestones.timeout_verdict(reading), reached),
            "see the serial log and the screenshot for what it waits for",
        )
    return None
