"""The job's table: every pair of state and event is a row or a refusal, and the rules of the API are rows."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import InvalidTransitionError
from rehost.core.job import (
    TRANSITIONS,
    UNFINISHED,
    Business,
    Event,
    JobState,
    Status,
    diagram,
    follow,
    state_of,
)

RUNNING = [state for state in JobState if state.status is Status.RUNNING]


@pytest.mark.parametrize(("state", "event"), list(product(JobState, Event)))
def test_every_pair_is_a_row_or_a_refusal(state: JobState, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert follow(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(InvalidTransitionError, match=f"does not take the event {event.name}") as caught:
        follow(state, event)
    assert "it is possible from " in caught.value.advice


@pytest.mark.parametrize(
    ("event", "possible"),
    [
        (Event.START, "InError, Ready, Stopped, Waiting"),
        (Event.STOP, "Running/Syncing"),
        (Event.CUT_OVER, "Waiting"),
        (Event.DELETE, "Expired, Finished, InError, Ready, Stopped, Waiting"),
    ],
)
def test_a_refusal_says_exactly_what_it_is_possible_from(event: Event, possible: str) -> None:
    """Running is not enough for a stop: a job that is Running/Processing would be told what it is."""
    with pytest.raises(InvalidTransitionError) as caught:
        follow(JobState.PROCESSING, event)
    assert caught.value.advice == f"it is possible from {possible}"


def statuses(event: Event) -> set[Status]:
    return {state.status for state, known in TRANSITIONS if known is event}


def test_what_the_api_promises() -> None:
    assert statuses(Event.START) == {Status.READY, Status.STOPPED, Status.IN_ERROR, Status.WAITING}
    assert [state for state, event in TRANSITIONS if event is Event.STOP] == [JobState.SYNCING]
    assert statuses(Event.CUT_OVER) == statuses(Event.CUT_OVER_SYNC) == {Status.WAITING}
    assert Status.RUNNING not in statuses(Event.DELETE)
    assert set(Status) - {Status.FINISHED, Status.DELETING} == UNFINISHED


def test_a_run_goes_from_ready_to_finished() -> None:
    state = JobState.READY
    for event in (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.CLEANED):
        state = follow(state, event)
    assert state is JobState.FINISHED


@pytest.mark.parametrize("state", RUNNING)
def test_every_running_state_fails_to_its_own_error_and_can_start_again(state: JobState) -> None:
    failed = follow(state, Event.FAIL)
    assert (failed.status, failed.business) == (Status.IN_ERROR, state.business)
    again = JobState.CLEANING if state is JobState.CLEANING else JobState.PREPARING
    assert follow(failed, Event.START) is again


@pytest.mark.parametrize("state", JobState)
def test_every_state_can_come_to_an_end(state: JobState) -> None:
    """None is a trap: from each, some events lead to Deleting, the only state without a way out."""
    reached, edge = {state}, {state}
    while edge:
        edge = {after for (before, _), after in TRANSITIONS.items() if before in edge} - reached
        reached |= edge
    assert JobState.DELETING in reached
    if state is JobState.DELETING:
        assert reached == {JobState.DELETING}


def test_every_state_is_reached_from_ready() -> None:
    assert set(TRANSITIONS.values()) | {JobState.READY} == set(JobState)


@pytest.mark.parametrize("state", JobState)
def test_states_are_known_by_their_two_words(state: JobState) -> None:
    assert state_of(str(state.status), str(state.business)) is state


@given(st.sampled_from(Status), st.sampled_from(Business))
def test_other_pairs_of_words_are_refused(status: Status, business: Business) -> None:
    known = {(state.status, state.business) for state in JobState}
    if (status, business) not in known:
        with pytest.raises(ValueError):
            state_of(status, business)


def test_the_diagram_has_every_row() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> READY"]
    assert len(lines) == 2 + len(TRANSITIONS)
    assert "    SYNCING --> STOPPED: stop" in lines
