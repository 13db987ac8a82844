"""Records that are of an earlier time than the world: what happened since is unknown, and may not come again.

Generations fence writers, and tell an agent which run it has carried out; versions tell it that something
else is wanted. Both go on far above whatever they were in the time that is lost.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from rehost.core.ids import Kind
from rehost.store.database import Database, new_id
from rehost.store.runs import IS_PRESENT, RunType
from rehost.store.schema import jobs, runs, source_servers

MOST = 1000  # starts of one run, and changes of what one agent has to do, in the time that is lost
LOST = "what is known of it was lost with the records; its images stay"


def skip(database: Database, generations: Mapping[str, int]) -> None:
    """`generations`: of the replicas there are, by job. Can be repeated.

    A job with a replica of which the records know no run gets one that says so.
    """
    with database.write() as connection:
        _add_unknown(connection, generations, database.now())
        for job, run, generation in connection.execute(_LAST).all():
            raised = max(generation, generations.get(job, 0)) + MOST
            connection.execute(runs.update().where(runs.c.id == run).values(generation=raised))
        version = source_servers.c.assignment_version
        connection.execute(source_servers.update().values(assignment_version=version + MOST))


_LAST = sa.select(jobs.c.id, runs.c.id, runs.c.generation).join(runs, IS_PRESENT)


def _add_unknown(connection: sa.Connection, generations: Mapping[str, int], now: float) -> None:
    never_started = sa.select(jobs.c.id).where(jobs.c.current_run == "")
    for job in connection.execute(never_started).scalars().all():
        if job not in generations:
            continue
        run = new_id(Kind.RUN)
        row = {"id": run, "job": job, "number": 1, "generation": generations[job], "type": RunType.MANUAL}
        connection.execute(runs.insert().values(**row, started=now, ended=now, image_id="", error=LOST))
        connection.execute(jobs.update().where(jobs.c.id == job).values(current_run=run))
