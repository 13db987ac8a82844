"""What agent and control plane say to each other, as values; JSON at the border is msgspec's work.

`docs/protocol.md` has the paths. Ids and codes are strings, sizes bytes, times Unix seconds.
"""

from dataclasses import dataclass
from enum import StrEnum

from rehost.core.bandwidth import Window
from rehost.core.round import NotConverging, RoundKind, RoundReport
from rehost.core.server import Inventory

ASSIGNMENT_WAIT = 25  # seconds that a long poll for the assignment is held at most


@dataclass(frozen=True, slots=True)
class Register:
    code: str  # the activation code
    secret: str  # 64 hex digits that the agent made and keeps; repeated registration answers the same source
    inventory: Inventory
    agent_version: str


@dataclass(frozen=True, slots=True)
class Registered:
    source_id: str
    heartbeat_rate: int  # seconds


@dataclass(frozen=True, slots=True)
class Heartbeat:
    inventory: Inventory
    system_info: str  # the API's SystemInfo: JSON of at most 1 KB
    agent_version: str
    error_code: str = ""
    error_msg: str = ""


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    heartbeat_rate: int


class Unreadable(StrEnum):
    """What a run does with sectors that a source's disk does not give."""

    FAIL = "fail"
    ZERO = "zero"  # copy zeroes in their place, and list them


@dataclass(frozen=True, slots=True)
class RunOptions:
    bandwidth_limit: int = 0  # KB/s over all streams of the run, 0: no limit; outside the schedule's windows
    compress_level: int = 1  # 0 (none) to 10
    checksum: bool = True  # the receiver verifies each chunk's digest before it writes
    streams: int = 2
    freeze_deadline: float = 60.0  # seconds after which the watchdog thaws whatever happens
    freeze_target: float = 1.0  # seconds; this and the next two: `core.round.RoundLimits`
    most_rounds: int = 10
    not_converging: NotConverging = NotConverging.FREEZE
    unreadable: Unreadable = Unreadable.FAIL
    bandwidth_schedule: tuple[Window, ...] = ()  # in the source's local time


@dataclass(frozen=True, slots=True)
class AssignmentVolume:
    volume: int  # number on the wire and in the replica: the source's disk index
    disk_path: str  # /dev/sda
    size: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run that the agent has to carry out; (run, generation) names it."""

    run: str
    job: str
    generation: int
    ticket: str
    receiver_host: str  # empty: the control plane's host as the agent knows it
    receiver_port: int
    volumes: tuple[AssignmentVolume, ...]
    options: RunOptions = RunOptions()
    base_roots: tuple[str, ...] = ()  # hex, of the sealed run that this one builds on; empty: nothing known


@dataclass(frozen=True, slots=True)
class AssignmentAnswer:
    version: int  # give it back to be told only of changes
    assignment: Assignment | None
    keep: str = ""  # the job whose tracking has to outlive its runs, as it runs again later; empty: none


class Phase(StrEnum):
    STARTING = "starting"
    COPYING = "copying"
    FREEZING = "freezing"
    COMPLETING = "completing"


@dataclass(frozen=True, slots=True)
class DiskProgress:
    """One disk in the present round."""

    disk: int
    total: int  # bytes that the round has to look at
    done: int  # of these, what is durable or proved equal
    read: int  # bytes read in the run so far
    sent: int  # bytes on the wire in the run so far
    changed: int  # bytes of chunks that differed, in this round
    rate: float  # bytes done per second, over the last seconds
    eta: float | None  # seconds to the end of the round
    send_rate: float = 0.0  # bytes on the wire per second, over the last seconds
    backlog: int | None = None  # bytes written since the round began; None: not tracked
    unreadable: int = 0  # bytes that the disk does not give, copied as zeroes


@dataclass(frozen=True, slots=True)
class Progress:
    run: str
    generation: int
    phase: Phase
    round: int  # from 1
    kind: RoundKind
    disks: tuple[DiskProgress, ...]
    note: str = ""  # what people should know meanwhile


@dataclass(frozen=True, slots=True)
class PartitionConsistency:
    device: str  # 0_0
    way: str  # frozen, unmounted, whole, swap-header, ...
    reason: str


@dataclass(frozen=True, slots=True)
class UnreadableExtent:
    """Bytes of a disk that it did not give, and that are zeroes in the replica."""

    disk: int
    start: int
    end: int
    where: str  # the partition and its file system, for people; empty: in none


@dataclass(frozen=True, slots=True)
class HookReport:
    """One script of the source server's owner."""

    stage: str  # pre-freeze or post-thaw
    name: str
    outcome: str  # done, exit code 1, not done within 30 s, ...; for people
    seconds: float
    output: str  # the end of what it said


@dataclass(frozen=True, slots=True)
class RunReport:
    roots: tuple[str, ...]  # hex, per volume in the assignment's order
    rounds: tuple[RoundReport, ...]
    read: int
    sent: int
    used: int  # bytes of used blocks in the final map
    freeze_seconds: float  # from the first file system's freeze to the last one's thaw
    started: float
    ended: float
    consistency: tuple[PartitionConsistency, ...] = ()
    held_seconds: float = 0.0  # of the freeze, while all file systems stood still together
    basis: tuple[str, ...] = ()  # for people: what the first round built on, of each disk, and why
    freeze_reason: str = ""  # why the last round was taken when it was, with the figures
    limits: tuple[str, ...] = ()  # options of the job that the source's owner limits, for people
    unreadable: tuple[UnreadableExtent, ...] = ()
    hooks: tuple[HookReport, ...] = ()
    freeze_expected: float = 0.0  # seconds, before it began
    looked_seconds: float = 0.0  # of the freeze, for the marks of write tracking and the maps of used blocks


@dataclass(frozen=True, slots=True)
class ErrorReport:
    code: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run on the agent's side: exactly one of report and error."""

    run: str
    generation: int
    report: RunReport | None = None
    error: ErrorReport | None = None
