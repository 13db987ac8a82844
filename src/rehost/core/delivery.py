"""Deliveries of webhooks: what an answer means, and when it is tried again. Pure."""

from dataclasses import dataclass

FIRST_WAIT = 5.0  # seconds before the first repetition; each further one waits twice as long
LONGEST_WAIT = 3600.0
GIVE_UP = 3 * 86400.0  # seconds of failures after which a hook is disabled
GONE = 410  # Standard Webhooks: the receiver wants no more


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt."""

    status: int | None  # of HTTP; None: there was no answer
    error: str  # why it does not count as delivered; empty: it does
    seconds: float

    @property
    def delivered(self) -> bool:
        return not self.error


@dataclass(frozen=True, slots=True)
class Failing:
    """A message that was not delivered yet."""

    attempts: int = 0
    since: float = 0.0  # Unix seconds, of the first attempt


def failed(before: Failing, now: float) -> Failing:
    return Failing(before.attempts + 1, before.since if before.attempts else now)


def given_up(failing: Failing, answer: Answer, now: float) -> str:
    """Why a hook is not tried any more; empty: it is."""
    if answer.status == GONE:
        return "the receiver answered 410: it is gone"
    if now - failing.since >= GIVE_UP:
        return (
            f"{failing.attempts} attempts in {GIVE_UP / 86400:.0f} days failed, the last one: {answer.error}"
        )
    return ""


def wait(attempts: int, chance: float) -> float:
    """Seconds until the next attempt after so many that failed; `chance` of 0 to 1 spreads the hooks that
    failed together, between half the time and all of it."""
    whole = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts - 1, 30))
    return whole * (0.5 + 0.5 * chance)
