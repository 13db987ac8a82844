"""The shortest ways through the job's table, for tests that need a job in some state."""

from rehost.core.job import TRANSITIONS, Event, JobState
from rehost.store.runs import RunType
from rehost.store.store import Store

BEGINNINGS = (Event.START, Event.CUT_OVER, Event.CUT_OVER_SYNC)


def path_to(goal: JobState) -> list[Event]:
    paths: dict[JobState, list[Event]] = {JobState.READY: []}
    while goal not in paths:
        for (start, event), end in TRANSITIONS.items():
            if start in paths:
                paths.setdefault(end, [*paths[start], event])
    return paths[goal]


def bring_to(store: Store, job: str, goal: JobState) -> None:
    """Take a job that is Ready through the events that lead to a state, with its runs."""
    for event in path_to(goal):
        if event in BEGINNINGS:
            store.runs.begin(job, event, RunType.MANUAL, "test")
        else:
            store.jobs.apply(job, event, "test")
