"""Watching scripted consoles; real ones are in test_bootcheck."""

import pytest

from rehost.compute.local import watch as watching
from rehost.compute.local.watch import watch

BOOT = ["", "SeaBIOS\n", "SeaBIOS\nLinux version 6.1\n", "SeaBIOS\nLinux version 6.1\nweb login: "]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "INTERVAL", 0.01)
    monkeypatch.setattr(watching, "LAST_WORDS", 0.0)


class Script:
    """A console that shows one text after the other, and a machine that ends at the last one or not."""

    def __init__(self, texts: list[str], ends: bool = False) -> None:
        self._texts = texts
        self._ends = ends
        self._at = -1

    def console(self) -> str:
        self._at = min(self._at + 1, len(self._texts) - 1)
        return self._texts[self._at]

    def running(self) -> bool:
        return not (self._ends and self._at >= len(self._texts) - 1)


def test_stages_are_timed_in_their_order() -> None:
    script = Script(BOOT)
    verdict = watch(script.console, script.running, 60).verdict
    assert verdict.ok
    assert [milestone.name for milestone in verdict.milestones] == ["firmware", "kernel", "login"]
    seconds = [milestone.seconds for milestone in verdict.milestones]
    assert seconds == sorted(seconds)


def test_a_death_ends_the_watch_at_once_with_advice() -> None:
    script = Script([*BOOT[:2], "SeaBIOS\nNo bootable device.\n"])
    seen = watch(script.console, script.running, 1e9)
    assert (seen.verdict.ok, seen.verdict.verdict) == (False, "firmware: no bootable device")
    assert seen.advice


def test_time_runs_out() -> None:
    script = Script(BOOT[:3])
    assert watch(script.console, script.running, 0.05).verdict.verdict == "timeout after kernel"


def test_a_machine_that_ends_by_itself() -> None:
    script = Script(BOOT[:3], ends=True)
    assert watch(script.console, script.running, 1e9).verdict.verdict == "the machine ended after kernel"


def test_the_last_words_of_an_ended_machine_count() -> None:
    texts = iter([BOOT[2], BOOT[3]])
    assert watch(lambda: next(texts), lambda: False, 1e9).verdict.verdict == "the machine ended after kernel"
    assert watch(lambda: BOOT[3], lambda: False, 1e9).verdict.ok
