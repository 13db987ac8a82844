"""What people and agents can make happen to a job: start, stop, delete, and the end of a copy.

Rows change first and in one transaction; what has to follow is started at once, and by upkeep if the process
dies in between.
"""

from collections.abc import Callable

from rehost.block.crashpoint import reach
from rehost.core.agentapi import Result
from rehost.core.errors import RunningJobError
from rehost.core.job import Event, JobState, Status
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

    def start(self, job_id: str, actor: str, kind: RunType = RunType.MANUAL) -> Run:
        """The next run, or after a failure the next generation of the same run.

        NotFoundError or InvalidTransitionError; then nothing has changed.
        """
        run = self._store.runs.begin(job_id, Event.START, kind, actor)
        reach("start.begun")
        start_workflow(self._engine, run)
        reach("start.enqueued")
        return run

    def stop(self, job_id: str, actor: str) -> None:
        """Pause a copy; what is durable stays. InvalidTransitionError unless the job is syncing."""
        job = self._store.jobs.apply(job_id, Event.STOP, actor)
        self._store.servers.withdraw(job.spec.source_id, job.current_run)
        self._nudge(job.current_run)

    def delete(self, job_id: str, actor: str) -> None:
        """The job is Deleting when this returns, and gone when all that it held is released."""
        job = self._store.jobs.apply(job_id, Event.DELETE, actor)
        if job.current_run:
            self._nudge(job.current_run)
        self._wake()

    def delete_source(self, source_id: str, actor: str) -> None:
        """Delete a source server and all of its jobs; RunningJobError while one of them runs."""
        jobs = self._store.jobs.of_source(source_id)
        running = [job.id for job in jobs if job.state.status is Status.RUNNING]
        if running:
            raise RunningJobError(
                f"the job {running[0]} of the source server {source_id} is running",
                "wait for its end, or stop it first",
            )
        self._store.servers.mark_deleting(source_id)
        for job in jobs:
            if job.state is not JobState.DELETING:
                self.delete(job.id, actor)
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


def start_workflow(engine: Engine, run: Run) -> None:
    workflow_id = run_workflow.workflow_id(run.id, run.generation)
    engine.start(run_workflow.NAME, workflow_id, run.id, str(run.generation))
