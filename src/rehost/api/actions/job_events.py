"""What happened to a replication job: rehost's own addition to the API."""

from collections.abc import Iterator, Sequence

from rehost.api import times
from rehost.api.actions import paging
from rehost.api.spec import Field, Fields, Kind, Wrapped
from rehost.store.events import EventRecord

FIELDS: Fields = (
    Wrapped(
        "Events",
        "Event",
        (
            Field("Actor", Kind.STRING, "Who asked: an access key's id, or rehost."),
            Field("Detail", Kind.STRING, "Why."),
            Field(
                "Duration", Kind.INTEGER, "Seconds that it stayed in the state; absent: it is there still."
            ),
            Field("Event", Kind.STRING, "CREATE, START, PREPARED, …"),
            Field("State", Kind.STRING, "Status and business status from then on; empty: as before."),
            Field("Time", Kind.TIME, "When it happened."),
        ),
    ),
    *paging.REPLY,
)


def rows(events: Sequence[EventRecord]) -> list[dict[str, object]]:
    """Oldest first."""
    return [_row(event, ended) for event, ended in zip(events, _ends(events), strict=True)]


def _row(event: EventRecord, ended: float | None) -> dict[str, object]:
    return {
        "Actor": event.actor,
        "Detail": event.detail,
        "Duration": None if ended is None else round(ended - event.at),
        "Event": event.what,
        "State": event.state,
        "Time": times.write(event.at),
    }


def _ends(events: Sequence[EventRecord]) -> Iterator[float | None]:
    """When the state that each event leads to ended; None: it has not, or the event changed no state."""
    for number, event in enumerate(events):
        later = (other.at for other in events[number + 1 :] if other.state)
        yield next(later, None) if event.state else None
