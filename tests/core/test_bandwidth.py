"""The daily schedule: which limit holds in which minute."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.bandwidth import DAY, Window, limit_at, window
from rehost.core.errors import InvalidValueError
from rehost.core.replication import parse

minutes = st.integers(0, DAY - 1)
windows = st.builds(Window, minutes, minutes, st.integers(0, 10**6)).filter(lambda w: w.start != w.end)


def walked(one: Window) -> set[int]:
    """The minutes from start to end, one by one."""
    found, minute = set(), one.start
    while minute != one.end:
        found.add(minute)
        minute = (minute + 1) % DAY
    return found


@given(st.lists(windows, max_size=6), st.integers(0, 10**6))
def test_the_first_window_that_holds_a_minute_decides(schedule: list[Window], otherwise: int) -> None:
    expected = dict.fromkeys(range(DAY), otherwise)
    for one in reversed(schedule):
        expected |= dict.fromkeys(walked(one), one.limit)
    assert {minute: limit_at(schedule, otherwise, minute) for minute in range(DAY)} == expected


@given(windows)
def test_a_window_and_its_complement_make_a_day(one: Window) -> None:
    other = Window(one.end, one.start, 0)
    assert all(one.holds(minute) != other.holds(minute) for minute in range(DAY))


def test_a_schedule_of_a_job() -> None:
    text = json.dumps({"bandwidth_schedule": [{"from": "22:30", "to": "06:00", "limit": 0}]})
    assert parse(text).options().bandwidth_schedule == (Window(22 * 60 + 30, 6 * 60, 0),)
    assert window({"from": "18:00", "to": "24:00", "limit": 1}) == Window(18 * 60, 0, 1)


@pytest.mark.parametrize(
    ("one", "named"),
    [
        ({"from": "08:00", "to": "25:00", "limit": 1}, "HH:MM"),
        ({"from": "8:00", "to": "09:00", "limit": 1}, "HH:MM"),
        ({"from": "08:00", "to": "08:00", "limit": 1}, "different times"),
        ({"from": "08:00", "to": "09:00", "limit": -1}, "whole number"),
        ({"from": "08:00", "to": "09:00", "limit": True}, "whole number"),
        ({"from": "08:00", "to": "09:00"}, '"from"'),
        (3, '"from"'),
    ],
)
def test_a_window_that_is_none(one: object, named: str) -> None:
    with pytest.raises(InvalidValueError, match=r"bandwidth_schedule=.* is not allowed") as refused:
        parse(json.dumps({"bandwidth_schedule": [one]}))
    assert named in refused.value.what
