"""What people and agents can make happen to a job: start, stop, cut over, delete, and the end of a copy.

Rows change first and in one transaction; what has to follow is started at once, and by upkeep if the process
dies in between.
"""

from collections.abc import Callable

from rehost.block.crashpoint import reach
from rehost.core.agentapi import Result
from rehost.core.errors import NoRoomError
from rehost.core.job import Event
from rehost.flow import run as run_workflow
from rehost.flow.engine import Engine
from rehost.store.runs import Run, RunType
from rehost.store.store import Store


class Lifecycle:
    def __init__(self, store: Store, engine: Engine, wake: Callable[[], None]) -> None:
        """`wake` makes upkeep look now instead of at its next tick."""
        self._store = store
        self._engine = engine
        self._wake = wake

    def start(self, job_id: str, actor: str, kind: RunType = RunType.MANUAL) -> Run | None:
        """The next run, or after a failure the next generation of the same run. None: as many jobs run as
        may, and upkeep starts it when there is room.

        NotFoundError or InvalidTransitionError; then nothing has changed.
        """
        run = begin_or_wait(self._store, job_id, kind, actor)
        if run is None:
            return None
        reach("start.begun")
        start_workflow(self._engine, run)
        reach("start.enqueued")
        return run

    def stop(self, job_id: str, actor: str) -> None:
        """Pause a copy; what is durable stays. Or take a start back that waits for room.

        InvalidTransitionError unless the job is syncing.
        """
        if self._store.room.withdraw(job_id, actor):
            return
        reach("stop.asked")
        self._nudge(self._store.jobs.apply(job_id, Event.STOP, actor).current_run)
        reach("stop.done")

    def cut_over(self, job_id: str, actor: str, *, sync: bool) -> Run:
        """The end of a job that runs again and again: as it is, or after one last run.

        NotFoundError or, unless it waits, InvalidTransitionError; then nothing has changed.
        """
        event = Event.CUT_OVER_SYNC if sync else Event.CUT_OVER
        run = self._store.runs.begin(job_id, event, RunType.MANUAL, actor)
        start_workflow(self._engine, run)
        return run

    def delete(self, job_id: str, actor: str) -> None:
        """The job is Deleting when this returns, and gone when all that it held is released."""
        job = self._store.jobs.apply(job_id, Event.DELETE, actor)
        if job.current_run:
            self._nudge(job.current_run)
        self._wake()

    def delete_source(self, source_id: str, force: bool, actor: str) -> None:
        """Delete a source server, with `force` its jobs too: all are Deleting when this returns.

        NotFoundError, SourceServerStateError, RunningJobError or RelatedJobError; then nothing has changed.
        """
        for job in self._store.servers.delete(source_id, force, actor):
            if job.current_run:
                self._nudge(job.current_run)
        self._wake()

    def result(self, source_id: str, result: Result) -> bool:
        """Keep what an agent says of the end of a copy; False when it tells of what is over."""
        kept = self._store.runs.record_result(source_id, result)
        reach("result.recorded")
        if kept:
            self._engine.signal(run_workflow.workflow_id(result.run, result.generation))
        return kept

    def _nudge(self, run_id: str) -> None:
        """A workflow that waits looks at its job and finds that it is over."""
        reach("nudge.begun")
        run = self._store.runs.get(run_id)
        self._engine.signal(run_workflow.workflow_id(run.id, run.generation))


def begin_or_wait(store: Store, job_id: str, kind: RunType, actor: str, why: str = "") -> Run | None:
    """Begin a job's next run; None, and the job says so, while there is no room for it."""
    try:
        return store.runs.begin(job_id, Event.START, kind, actor, why)
    except NoRoomError as full:
        store.room.want(job_id, kind, actor, full.what)
        return None


def start_workflow(engine: Engine, run: Run) -> None:
    """Another host's run is left to its upkeep: that may know other steps, if it is of another release."""
    if run.host == engine.host:
        workflow_id = run_workflow.workflow_id(run.id, run.generation)
        engine.start(run_workflow.NAME, workflow_id, run.id, str(run.generation))
