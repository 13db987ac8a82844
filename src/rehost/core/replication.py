"""The job parameter ReplicationParameters: a JSON object of fixed keys, at most 2,048 characters."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from rehost.core.agentapi import RunOptions, Unreadable
from rehost.core.bandwidth import MOST_WINDOWS, Window, window
from rehost.core.errors import InvalidValueError
from rehost.core.round import NotConverging

LONGEST = 2048  # characters
LONGEST_COMMAND = 1024
MOST_STREAMS = 16
MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class ReplicationParameters:
    """How a job copies and checks. The first three are the reference's, the others rehost's own."""

    bandwidth_limit: int = 0  # KB/s over all streams, 0: no limit; outside the schedule's windows
    compress_level: int = 1  # 0 (none) to 10
    checksum: bool = True  # the receiver verifies each chunk before it writes it
    streams: int = 2  # connections of a run
    freeze_deadline: float = 60.0  # seconds after which the source is thawed whatever happens
    freeze_target: float = 1.0  # seconds: rounds go on until the freeze is expected to be as short as that
    most_rounds: int = 10  # rounds between the first and the last at most
    not_converging: NotConverging = NotConverging.FREEZE
    unreadable: Unreadable = Unreadable.FAIL
    bandwidth_schedule: tuple[Window, ...] = ()  # in the source's local time
    boot_check_command: str = ""  # run in the booted image; its exit code decides

    def options(self) -> RunOptions:
        """What of it the agent has to know."""
        return RunOptions(
            bandwidth_limit=self.bandwidth_limit,
            compress_level=self.compress_level,
            checksum=self.checksum,
            streams=self.streams,
            freeze_deadline=self.freeze_deadline,
            freeze_target=self.freeze_target,
            most_rounds=self.most_rounds,
            not_converging=self.not_converging,
            unreadable=self.unreadable,
            bandwidth_schedule=self.bandwidth_schedule,
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: str) -> bool:
    """No NUL, and no half of a surrogate pair, which JSON escapes can make and UTF-8 cannot carry."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bandwidth_limit": (
        lambda v: _is_integer(v) and 0 <= v <= 1 << 31,
        "a whole number of KB/s, 0 for no limit",
    ),
    "compress_level": (lambda v: _is_integer(v) and 0 <= v <= 10, "a whole number from 0 to 10"),
    "checksum": (lambda v: isinstance(v, bool), "true or false"),
    "streams": (
        lambda v: _is_integer(v) and 1 <= v <= MOST_STREAMS,
        f"a whole number from 1 to {MOST_STREAMS}",
    ),
    "freeze_deadline": (lambda v: _is_number(v) and 1 <= v <= 3600, "seconds from 1 to 3600"),
    "freeze_target": (lambda v: _is_number(v) and 0.01 <= v <= 3600, "seconds from 0.01 to 3600"),
    "most_rounds": (
        lambda v: _is_integer(v) and 1 <= v <= MOST_ROUNDS,
        f"a whole number from 1 to {MOST_ROUNDS}",
    ),
    "not_converging": (lambda v: v in list(NotConverging), '"freeze" or "fail"'),
    "unreadable": (lambda v: v in list(Unreadable), '"fail" or "zero"'),
    "bandwidth_schedule": (
        lambda v: isinstance(v, list) and len(v) <= MOST_WINDOWS,
        f"a list of at most {MOST_WINDOWS} windows",
    ),
    "boot_check_command": (
        lambda v: isinstance(v, str) and len(v) <= LONGEST_COMMAND and _is_text(v),
        f"a shell command of at most {LONGEST_COMMAND} characters",
    ),
}


def parse(text: str) -> ReplicationParameters:
    """Empty text gives the defaults; InvalidValueError names the key, its value and what is allowed."""
    if not text:
        return ReplicationParameters()
    if len(text) > LONGEST:
        raise _invalid(f"it has {len(text)} characters, {LONGEST} are allowed")
    for key, value in (values := _object(text)).items():
        if key not in _KEYS:
            raise _invalid(f"the key {key!r} is not known; allowed are {', '.join(_KEYS)}")
        allowed, says = _KEYS[key]
        if not allowed(value):
            raise _invalid(f"{key}={json.dumps(value)[:80]} is not allowed; it has to be {says}")
    return ReplicationParameters(**values | _made_of(values))


def _made_of(values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that JSON cannot say by itself."""
    return {key: make(values[key]) for key, make in _MADE.items() if key in values}


def _schedule(windows: list[Any]) -> tuple[Window, ...]:
    try:
        return tuple(map(window, windows))
    except ValueError as error:
        raise _invalid(f"bandwidth_schedule={json.dumps(windows)[:80]} is not allowed; {error}") from None


_MADE: dict[str, Callable[[Any], Any]] = {
    "not_converging": NotConverging,
    "unreadable": Unreadable,
    "bandwidth_schedule": _schedule,
}


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise _invalid(f"it is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise _invalid("it is not a JSON object")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _invalid("a key is given more than once")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not a number of JSON")


def _invalid(why: str) -> InvalidValueError:
    return InvalidValueError(
        f"ReplicationParameters: {why}",
        'an example: {"bandwidth_limit":0,"compress_level":1,"checksum":true}',
    )
