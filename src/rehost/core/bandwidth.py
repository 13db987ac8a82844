"""A daily schedule of bandwidth limits, in the source's local time. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DAY = 24 * 60  # minutes
KILOBYTE = 1024  # bytes of the KB in which limits are told
MOST_WINDOWS = 24
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_KEYS = {"from", "to", "limit"}


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` in minutes of the day; one that ends before it starts goes over midnight."""

    start: int
    end: int
    limit: int  # KB/s over all streams of the run, 0: no limit

    def holds(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def limit_at(windows: Sequence[Window], otherwise: int, minute: int) -> int:
    """KB/s in this minute of the day: those of the first window that holds it, or `otherwise`."""
    return next((window.limit for window in windows if window.holds(minute)), otherwise)


def window(value: Any) -> Window:
    """A window as a job has it: {"from": "08:00", "to": "18:00", "limit": 2048}; ValueError says what is
    wrong with it."""
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise ValueError('a window is {"from": "HH:MM", "to": "HH:MM", "limit": KB/s}')
    start, end, limit = _minute(value["from"]), _minute(value["to"]), value["limit"]
    if start == end:
        raise ValueError("a window begins and ends at different times; bandwidth_limit holds all day")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= 1 << 31:
        raise ValueError("a window's limit is a whole number of KB/s, 0 for no limit")
    return Window(start, end, limit)


def _minute(text: Any) -> int:
    """Minutes of the day; 24:00 is 00:00."""
    found = _TIME.fullmatch(text) if isinstance(text, str) and text != "24:00" else None
    if found:
        return int(found[1]) * 60 + int(found[2])
    if text == "24:00":
        return 0
    raise ValueError("a window's times are HH:MM, from 00:00 to 24:00")
