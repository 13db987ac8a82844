"""The tick that makes what the rows say true, whatever was cut off in between.

It starts workflows that a crash kept from starting, or whose runs another host has begun for this one. It
sends signals that got lost, starts scheduled jobs, the next runs of those that wait and what waited for room,
says which sources are offline, keeps the images of waiting jobs as few as asked, lets jobs expire and deletes
them later, and releases what deleted jobs and source servers held, and what jobs that went on elsewhere have
left here.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from rehost.block.crashpoint import reach
from rehost.compute.driver import Driver
from rehost.core.errors import InvalidTransitionError, NoHostError, NotFoundError, RehostError, code_of
from rehost.core.job import RUNNING, Event, JobState
from rehost.flow.engine import Engine, WorkflowState
from rehost.flow.lifecycle import begin_or_wait, start_workflow
from rehost.flow.ports import Door
from rehost.flow.retention import retain
from rehost.flow.run import workflow_id
from rehost.flow.strays import discard_strays
from rehost.flow.ticker import Ticker
from rehost.store.copies import Copy
from rehost.store.images import ImageState
from rehost.store.runs import Run, RunType
from rehost.store.status import error_info, offline_info
from rehost.store.store import Store
from rehost.store.transition import Job

TICK = 2.0  # seconds
LOOK_AT_ENGINE = 15  # ticks between two looks at the workflows of all running jobs
LOOK_AT_LAYERS = 15  # ticks between two looks at each resting job's images and layers
ACTOR = "rehost"

_log = logging.getLogger(__name__)


class Upkeep:
    """Each of its duties can be repeated, and a job that resists does not keep the others.

    What may take long has a thread of its own: nothing else waits until gigabytes are merged or deleted.
    Each host looks after its own jobs; one of them, the leader, after what is no host's.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        driver: Driver,
        door: Door,
        host: str = "",
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._engine = engine
        self._driver = driver
        self._door = door
        self._host = host
        self._leads = leads
        self._ticks = self._tidied = 0
        self._signalled: set[str] = set()
        self._seen: set[str] = set()  # runs that were there at the last tick
        self._threads = (Ticker("upkeep", self.steer, TICK), Ticker("upkeep of files", self.tidy, TICK))

    def adopt(self) -> None:
        """Runs that began before there were hosts go on at this one, if their jobs are its own."""
        self._engine.adopt(
            [workflow_id(run.id, run.generation) for run in self._store.runs.under_way(self._host)]
        )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look now instead of at the next tick."""
        for thread in self._threads:
            thread.wake()

    def close(self) -> None:
        for thread in self._threads:
            thread.close()

    def tick(self) -> None:
        """Do all duties once."""
        self.tidy()
        self.steer()

    def tidy(self) -> None:
        """What may take long."""
        jobs = self._store.jobs
        looks = self._tidied % LOOK_AT_LAYERS == 0
        self._tidied += 1
        if looks:
            self._each(jobs.with_images(self._host), self._retain)
        never_started = [""] if self._leads() else []
        self._each(jobs.in_states(JobState.DELETING, hosts=[self._host, *never_started]), self._release)
        if looks:
            discard_strays(self._store, self._driver, self._host)

    def steer(self) -> None:
        """What takes no time, with thousands of copies too: they are looked at together, by one query."""
        copies = self._store.copies.under_way(self._host)
        states = [state for state in RUNNING if state is not JobState.SYNCING]
        others = [job.current_run for job in self._store.jobs.in_states(*states, hosts=[self._host])]
        self._look_at_engine({copy.run for copy in copies}.union(others))
        place = self._door.here()
        for copy in copies:
            self._try(copy.id, partial(self._watch_copy, copy, place))
        if others:  # of what rehost itself does, only the time tells how far it is
            self._store.runs.pass_time(others)
        if self._leads():
            self._lead()

    def _lead(self) -> None:
        """What is the same whoever does it."""
        self._each(self._store.jobs.expired(), self._expire)
        self._each(self._store.jobs.outlived(), self._delete)
        self._each(self._store.jobs.due(), self._begin)
        self._each(self._store.room.next(), self._begin_at_last)
        for source_id in self._store.servers.emptied():
            self._store.servers.remove(source_id)
            reach("source.removed")

    def _each(self, jobs: Iterable[Job], duty: Callable[[Job], None]) -> None:
        for job in jobs:
            self._try(job.id, partial(duty, job))

    def _try(self, job_id: str, duty: Callable[[], None]) -> None:
        try:
            duty()
        except (NotFoundError, InvalidTransitionError):
            return  # the job went on meanwhile; the next tick sees where it is
        except Exception as error:  # noqa: BLE001  the job says it, and the next tick tries again
            _log.exception("upkeep of job %s failed; it is tried again", job_id)
            self._say(job_id, error)

    def _look_at_engine(self, present: set[str]) -> None:
        """At runs that are new here at once: who asked for them may have been another host."""
        new, self._seen = present - self._seen, present
        looks_at_all = self._ticks % LOOK_AT_ENGINE == 0
        self._ticks += 1
        if looks_at_all or new:
            self._keep_running(self._store.runs.under_way(self._host, None if looks_at_all else new))

    def _keep_running(self, runs: Iterable[Run]) -> None:
        """A running job has a workflow; one that ended without moving its job failed in an unforeseen way."""
        by_workflow = {workflow_id(run.id, run.generation): run for run in runs}
        for workflow, state in self._engine.states(list(by_workflow)).items():
            run = by_workflow[workflow]
            if state is WorkflowState.UNKNOWN:
                self._try(run.job, partial(start_workflow, self._engine, run))
            elif state is WorkflowState.ENDED:
                self._try(run.job, partial(self._fail_orphan, run))

    def _fail_orphan(self, run: Run) -> None:
        now = self._store.jobs.get(run.job)
        if now.state not in RUNNING or self._store.runs.get(now.current_run) != run:
            return
        what = f"the workflow of run {run.id} ended without a word in state {now.state.name}"
        info = error_info(RehostError.code, what, "see the log of rehost serve, then start the job again")
        self._store.jobs.apply(now.id, Event.FAIL, ACTOR, what, error_code=RehostError.code, status_info=info)

    def _watch_copy(self, copy: Copy, place: tuple[str, int] | None) -> None:
        """`place`: where the data plane is. What is as it should be costs nothing."""
        workflow = workflow_id(copy.run, copy.generation)
        if copy.ended and workflow not in self._signalled:
            self._engine.signal(workflow)
            self._signalled.add(workflow)
        if place is not None and copy.place is not None and place != copy.place:
            self._store.assignments.readdress(copy.source, copy.run, *place)
        if copy.silent_since is not None and not copy.ended:
            info = offline_info(self._store.runs.get(copy.run).progress, copy.silent_since)
            if info != copy.status_info:
                self._store.jobs.report(copy.id, copy.run, JobState.SYNCING, info)

    def _begin(self, job: Job) -> None:
        why = "its scheduled start" if job.state is JobState.READY else "its next run is due"
        run = self._begin_by_itself(job, RunType.SCHEDULE, why)
        if run is not None:
            reach("due.begun")
            start_workflow(self._engine, run)

    def _begin_at_last(self, job: Job) -> None:
        run = self._begin_by_itself(job, RunType(job.wanted_type), "there is room for it")
        if run is not None:
            start_workflow(self._engine, run)

    def _begin_by_itself(self, job: Job, kind: RunType, why: str) -> Run | None:
        """Nobody is there to be told that all hosts are away or draining: the job waits for one."""
        try:
            return begin_or_wait(self._store, job.id, kind, ACTOR, why)
        except NoHostError as nobody:
            self._store.room.keep_wanting(job, kind, ACTOR, nobody.what)
            return None

    def _expire(self, job: Job) -> None:
        now = self._store.database.now()
        self._store.jobs.apply(job.id, Event.EXPIRE, ACTOR, "its ValidTime is past", ended=now)

    def _delete(self, job: Job) -> None:
        self._store.jobs.apply(job.id, Event.DELETE, ACTOR, "it expired 7 days ago")

    def _retain(self, job: Job) -> None:
        """What was in use at the end of the last run, or was deleted since."""
        retain(self._store, self._driver, job)

    def _release(self, job: Job) -> None:
        """Images that are ready stay, and keep the replica that they are built on."""
        reach("release.begun")
        for image in self._store.images.of_job(job.id):
            if image.state is not ImageState.AVAILABLE:
                self._driver.delete_image(image.id)
                reach("release.image")
                self._store.images.remove(image.id)
                reach("release.image_removed")
        self._driver.discard_replica(job.id)
        reach("release.discarded")
        self._store.jobs.remove(job.id)
        reach("release.done")

    def _say(self, job_id: str, error: Exception) -> None:
        """A job that cannot be released says why, where people look."""
        what, advice = str(error), "see the log of rehost serve"
        if isinstance(error, RehostError):
            what, advice = error.what, error.advice
        info = error_info(code_of(error), what, advice)
        with suppress(NotFoundError):
            job = self._store.jobs.get(job_id)
            self._store.jobs.report(job_id, job.current_run, job.state, info)
