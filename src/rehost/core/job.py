"""A replication job's life: its states, the events, and the one table that says what each event does.

A state is the pair (Status, BusinessStatus) of the API. The table is the whole rule: an event without a row
for the present state is refused.
"""

from enum import Enum, StrEnum, auto
from functools import cache

from rehost.core.errors import InvalidTransitionError


class Status(StrEnum):
    READY = "Ready"
    RUNNING = "Running"
    STOPPED = "Stopped"
    WAITING = "Waiting"
    IN_ERROR = "InError"
    FINISHED = "Finished"
    EXPIRED = "Expired"
    DELETING = "Deleting"


class Business(StrEnum):
    NONE = ""
    PREPARING = "Preparing"
    SYNCING = "Syncing"
    PROCESSING = "Processing"
    CLEANING = "Cleaning"


class JobState(Enum):
    READY = (Status.READY, Business.NONE)
    PREPARING = (Status.RUNNING, Business.PREPARING)
    SYNCING = (Status.RUNNING, Business.SYNCING)
    PROCESSING = (Status.RUNNING, Business.PROCESSING)
    CLEANING = (Status.RUNNING, Business.CLEANING)
    STOPPED = (Status.STOPPED, Business.SYNCING)
    WAITING = (Status.WAITING, Business.NONE)
    PREPARE_FAILED = (Status.IN_ERROR, Business.PREPARING)
    SYNC_FAILED = (Status.IN_ERROR, Business.SYNCING)
    PROCESS_FAILED = (Status.IN_ERROR, Business.PROCESSING)
    CLEAN_FAILED = (Status.IN_ERROR, Business.CLEANING)
    FINISHED = (Status.FINISHED, Business.NONE)
    EXPIRED = (Status.EXPIRED, Business.NONE)
    DELETING = (Status.DELETING, Business.NONE)

    @property
    def status(self) -> Status:
        return self.value[0]

    @property
    def business(self) -> Business:
        return self.value[1]

    @property
    def text(self) -> str:
        """Running/Syncing, Finished."""
        return "/".join(word for word in self.value if word)


class Event(Enum):
    START = auto()  # a person or the schedule asks for a run
    PREPARED = auto()  # volumes and the ticket are there
    SYNCED = auto()  # the replica equals the source's frozen disks
    PROCESSED = auto()  # the image is built and has booted
    CLEANED = auto()  # nothing of the run is left that is not the image
    WAIT = auto()  # cleaned, and the job runs again later
    FAIL = auto()
    STOP = auto()
    TAKE_OVER = auto()  # by another host, whose storage has the volumes too
    RESYNC = auto()  # at another host, anew: the one that has the volumes is away
    CUT_OVER = auto()  # finish without another copy
    CUT_OVER_SYNC = auto()  # copy once more, then finish
    EXPIRE = auto()
    DELETE = auto()


RUNNING = (JobState.PREPARING, JobState.SYNCING, JobState.PROCESSING, JobState.CLEANING)
_FAILED = (JobState.PREPARE_FAILED, JobState.SYNC_FAILED, JobState.PROCESS_FAILED, JobState.CLEAN_FAILED)
_RESTING = (JobState.READY, JobState.STOPPED, JobState.WAITING, *_FAILED)

TRANSITIONS: dict[tuple[JobState, Event], JobState] = {
    (JobState.READY, Event.START): JobState.PREPARING,
    (JobState.STOPPED, Event.START): JobState.PREPARING,
    (JobState.WAITING, Event.START): JobState.PREPARING,
    **{(state, Event.START): JobState.PREPARING for state in _FAILED if state is not JobState.CLEAN_FAILED},
    (JobState.CLEAN_FAILED, Event.START): JobState.CLEANING,  # its image is ready: nothing to copy again
    (JobState.PREPARING, Event.PREPARED): JobState.SYNCING,
    (JobState.SYNCING, Event.SYNCED): JobState.PROCESSING,
    (JobState.PROCESSING, Event.PROCESSED): JobState.CLEANING,
    (JobState.CLEANING, Event.CLEANED): JobState.FINISHED,
    (JobState.CLEANING, Event.WAIT): JobState.WAITING,
    **{(state, Event.FAIL): failed for state, failed in zip(RUNNING, _FAILED, strict=True)},
    **{(state, Event.TAKE_OVER): state for state in RUNNING if state is not JobState.SYNCING},
    (JobState.SYNCING, Event.TAKE_OVER): JobState.PREPARING,  # for a ticket to the other host
    **{(state, Event.RESYNC): JobState.PREPARING for state in RUNNING if state is not JobState.CLEANING},
    (JobState.SYNCING, Event.STOP): JobState.STOPPED,
    (JobState.WAITING, Event.CUT_OVER): JobState.CLEANING,
    (JobState.WAITING, Event.CUT_OVER_SYNC): JobState.PREPARING,
    **{(state, Event.EXPIRE): JobState.EXPIRED for state in _RESTING},
    **{
        (state, Event.DELETE): JobState.DELETING for state in (*_RESTING, JobState.FINISHED, JobState.EXPIRED)
    },
}

UNFINISHED = frozenset(Status) - {Status.FINISHED, Status.DELETING}
"""A source server takes a new job only when none of its jobs has one of these statuses."""

OVER = frozenset({Status.FINISHED, Status.EXPIRED, Status.DELETING})
"""A job with one of these statuses never runs again."""


@cache
def state_of(status: str, business: str) -> JobState:
    return JobState((Status(status), Business(business)))


def follow(state: JobState, event: Event) -> JobState:
    """The state after an event; InvalidTransitionError where the table has no row."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransitionError(
            f"a job in status {state.text} does not take the event {event.name}",
            f"it is possible from {', '.join(_from(event))}",
        ) from None


def _from(event: Event) -> list[str]:
    """The statuses that an event is possible from, with the business status where not all of one's are."""
    refusing = {state.status for state in JobState if (state, event) not in TRANSITIONS}
    taking = (state for state, known in TRANSITIONS if known is event)
    return sorted({state.text if state.status in refusing else state.status for state in taking})


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    rows = [f"    {a.name} --> {b.name}: {event.name.lower()}" for (a, event), b in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> READY", *rows]) + "\n"
