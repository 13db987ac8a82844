"""Who is the source server and who a clone of its disk: every order in which two machines can ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.clones import Bearers, Boot, Clone, Hardware, Verdict, meet, parse
from rehost.core.errors import InvalidValueError

HEX = "0123456789abcdef"
MACS = st.lists(st.text(HEX, min_size=2, max_size=2).map(lambda text: ":".join([text] * 6)), max_size=8)
HARDWARE = st.builds(Hardware, st.text(HEX + "-", max_size=36), MACS.map(tuple))
BOOTS = st.builds(Boot, st.text(HEX + "-", min_size=1, max_size=36), HARDWARE)
ONE, OTHER = Hardware("1", ("aa",)), Hardware("2", ("aa",))


@given(BOOTS)
def test_the_header_says_all(boot: Boot) -> None:
    assert parse(boot.header()) == boot


@pytest.mark.parametrize(
    "text", ["", "boot=; product=; cards=", "boot=1", "boot=g; product=; cards=", "x" * 9000]
)
def test_other_headers_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="is not understood"):
        parse(text)


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (Hardware("1", ("aa",)), Hardware("2", ("aa",)), True),
        (Hardware("1", ("aa",)), Hardware("1", ("bb",)), False),  # a card was changed
        (Hardware("", ("aa", "bb")), Hardware("1", ("cc",)), True),
        (Hardware("", ("aa", "bb")), Hardware("", ("bb",)), False),
        (Hardware("1"), Hardware("", ("aa",)), False),  # nothing to compare
    ],
)
def test_what_is_another_machine(one: Hardware, other: Hardware, differs: bool) -> None:
    assert (one.differs(other), other.differs(one)) == (differs, differs)


class Story:
    """Requests in their order, with a heartbeat of the source server at each that it is admitted with."""

    def __init__(self) -> None:
        self.known: Bearers | None = None
        self.now = self.heard = 1000.0

    def asks(self, boot: str, hardware: Hardware = ONE, after: float = 1.0) -> Verdict:
        self.now += after
        silent = self.now - self.heard >= 45
        told = Boot(boot, hardware)
        self.known, verdict = meet(self.known, told, "192.0.2.7", self.now, self.heard, silent)
        if verdict is Verdict.OWN:
            self.heard = self.now
        return verdict


def test_other_hardware_is_a_clone_at_once_and_for_ever() -> None:
    story = Story()
    assert story.asks("a") is Verdict.OWN
    assert story.asks("b", OTHER) is Verdict.CLONE
    assert story.asks("b", OTHER, after=1e6) is Verdict.CLONE
    assert story.asks("a") is Verdict.OWN


def test_a_restart_waits_until_the_boot_before_is_silent() -> None:
    story = Story()
    story.asks("a")
    assert [story.asks("b", after=20) for _ in range(3)] == [Verdict.WAIT, Verdict.WAIT, Verdict.OWN]
    assert story.known == Bearers(Boot("b", ONE))


def test_a_restart_that_takes_long_does_not_wait() -> None:
    story = Story()
    story.asks("a")
    assert story.asks("b", after=60) is Verdict.OWN


def test_two_boots_that_both_go_on_are_two_machines() -> None:
    story = Story()
    story.asks("a")
    assert story.asks("b") is Verdict.WAIT
    assert story.asks("a") is Verdict.OWN
    assert story.asks("b") is Verdict.CLONE
    assert story.asks("b", after=1000) is Verdict.CLONE
    assert story.known is not None
    assert story.known.clone == Clone(Boot("b", ONE), "192.0.2.7", 1002.0, 2004.0, sure=True)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 30)), max_size=40))
def test_of_two_that_never_fall_silent_only_the_first_is_admitted(asks: list[tuple[str, float]]) -> None:
    story = Story()
    story.asks("a")
    for boot, pause in asks:
        if story.now + pause - story.heard > 30:
            story.asks("a", after=0.1)  # its heartbeat
        assert (story.asks(boot, after=min(pause, 14)) is Verdict.OWN) == (boot == "a")
