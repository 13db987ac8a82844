"""What was seen of a storm, as values; times are Unix seconds."""

from dataclasses import dataclass
from enum import StrEnum

from bench.storm.blows import Blow


class What(StrEnum):
    STARTED = "started"
    READY = "ready"
    STRUCK = "struck"  # the detail is the blow
    GOES_ON = "goes on"  # after a pause
    ENDED = "ended"  # by itself


@dataclass(frozen=True, slots=True)
class Moment:
    """Of a host, an agent or the database."""

    at: float
    unit: str
    what: What
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a job."""

    at: float
    what: str
    state: str  # from then on
    detail: str


@dataclass(frozen=True, slots=True)
class Story:
    job: str
    source: str  # its name
    again: bool  # the job ran more than once
    runs: int  # that ended
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """An image, compared with what its source had."""

    image: str
    source: str
    bytes: int  # that were read and compared
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Takeover:
    at: float
    job: str
    away: str  # the host that had it
    seconds: float | None  # since that was struck; None: it was up again, but had lost its lease


@dataclass(frozen=True, slots=True)
class Record:
    seed: int
    began: float  # of the strikes
    calm: float  # the end of the last strike
    settled: float  # every job was finished
    units: tuple[tuple[str, str], ...]  # their names and roles, as they are drawn
    moments: tuple[Moment, ...]
    stories: tuple[Story, ...]
    takeovers: tuple[Takeover, ...]
    proofs: tuple[Proof, ...]
    leftovers: tuple[str, ...]
    calls: int  # of the SDK
    failures: tuple[str, ...]  # of these: no answer, or one of an error

    def struck(self, blow: Blow) -> int:
        return sum(each.what is What.STRUCK and each.detail == blow for each in self.moments)
