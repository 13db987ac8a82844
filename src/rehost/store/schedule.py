"""When jobs begin by themselves: at their scheduled start, or hours after the end of their last run."""

import sqlalchemy as sa

from rehost.core.job import JobState
from rehost.store.schema import jobs
from rehost.store.transition import is_in

HOUR = 3600.0


def first_is_due(now: float) -> sa.ColumnElement[bool]:
    """Of a row of `jobs`."""
    return sa.and_(is_in(JobState.READY), jobs.c.scheduled_start <= now)


def next_is_due(now: float) -> sa.ColumnElement[bool]:
    """Of a row of `jobs`."""
    return sa.and_(is_in(JobState.WAITING), jobs.c.ended + jobs.c.frequency * HOUR <= now)


def pass_over(connection: sa.Connection, job_id: str, now: float) -> None:
    """In the caller's transaction: a time that has come counts as used. A first run begins when somebody
    starts it then, and a next one its hours from now."""
    mine = jobs.c.id == job_id
    connection.execute(jobs.update().where(mine, first_is_due(now)).values(scheduled_start=None))
    connection.execute(jobs.update().where(mine, next_is_due(now)).values(ended=now))
