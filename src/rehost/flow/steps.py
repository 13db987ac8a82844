"""The steps of a run: prepare, sync, process (build, check, finish), clean. Each can be repeated.

A step looks at the job's row first. It does its work only while the job is in the step's own state, says NEXT
when the job is past it (the step was done, its record was lost), and OVER when the job is anywhere else:
stopped, failed, deleted, or taken over by a newer generation.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rehost.block.crashpoint import reach
from rehost.compute.driver import Driver
from rehost.core import replication
from rehost.core.agentapi import Assignment, Result
from rehost.core.errors import (
    DatabaseUnavailableError,
    DataFolderFullError,
    InvalidTransitionError,
    NotFoundError,
    RehostError,
    ReportedError,
    code_of,
)
from rehost.core.ids import Kind
from rehost.core.job import Event, JobState
from rehost.core.progress import Stage
from rehost.core.server import Inventory
from rehost.flow import plan
from rehost.flow.engine import InterruptedByStopError
from rehost.flow.imagereport import boot_text, conversion_text
from rehost.flow.ports import Converter, Door
from rehost.flow.retention import retain
from rehost.store.database import new_id
from rehost.store.images import ImageRecord
from rehost.store.runs import Run
from rehost.store.status import error_info, phase_info
from rehost.store.store import Store
from rehost.store.transition import Job

NEXT, WAIT, OVER = "next", "wait", "over"
ACTOR = "rehost"
PAUSE = 2.0  # seconds until a step whose records could not be written is repeated
_NO_RECORDS = (DataFolderFullError, DatabaseUnavailableError)
_ORDER = (JobState.PREPARING, JobState.SYNCING, JobState.PROCESSING, JobState.CLEANING)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    job: Job
    run: Run


@dataclass(frozen=True, slots=True)
class Steps:
    store: Store
    driver: Driver
    converter: Converter
    door: Door
    stopping: Callable[[], bool] = lambda: False  # the process ends: what fails now fails because of that

    def prepare(self, run_id: str, generation: int) -> str:
        return self._in(JobState.PREPARING, run_id, generation, self._prepare)

    def sync(self, run_id: str, generation: int) -> str:
        """WAIT until the agent has said how the copy of this generation ended."""
        return self._in(JobState.SYNCING, run_id, generation, self._sync)

    def build(self, run_id: str, generation: int) -> str:
        return self._in(JobState.PROCESSING, run_id, generation, self._build)

    def check(self, run_id: str, generation: int) -> str:
        return self._in(JobState.PROCESSING, run_id, generation, self._check)

    def finish(self, run_id: str, generation: int) -> str:
        return self._in(JobState.PROCESSING, run_id, generation, self._finish)

    def clean(self, run_id: str, generation: int) -> str:
        return self._in(JobState.CLEANING, run_id, generation, self._clean)

    def _in(self, state: JobState, run_id: str, generation: int, work: Callable[[_Task], str]) -> str:
        """Without records nobody could be told of a failure: the step waits for room, or for the database."""
        while True:
            try:
                return self._once(state, run_id, generation, work)
            except _NO_RECORDS as error:
                if self.stopping():
                    raise InterruptedByStopError from error
                _log.error("run %s waits: %s", run_id, error)
                time.sleep(PAUSE)

    def _once(self, state: JobState, run_id: str, generation: int, work: Callable[[_Task], str]) -> str:
        task = self._task(run_id, generation)
        if task is None or task.job.state not in _ORDER:
            return OVER
        if task.job.state is not state:
            return NEXT if _ORDER.index(task.job.state) > _ORDER.index(state) else OVER
        try:
            return work(task)
        except _NO_RECORDS:
            raise
        except InvalidTransitionError as error:
            # Another execution of this step was quicker: what it made of the job counts.
            now = self._task(run_id, generation)
            if now is not None and now.job.state is state:
                return self._failed(task, error)
            return self._once(state, run_id, generation, work)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job has to say so
            return self._failed(task, error)

    def _task(self, run_id: str, generation: int) -> _Task | None:
        """The run and its job, if they are still there and the run's generation is this one."""
        try:
            run = self.store.runs.get(run_id)
            job = self.store.jobs.get(run.job)
        except NotFoundError:
            return None
        current = job.current_run == run_id and run.generation == generation
        return _Task(job, run) if current else None

    def _prepare(self, task: _Task) -> str:
        job, run = task.job, task.run
        self._say(task, "preparing")
        reach("prepare.begun")
        inventory = self.store.servers.get(job.spec.source_id).inventory
        disks = plan.disks_of(job.spec, inventory)
        volumes = plan.volumes_of(disks)
        roots = self.driver.create_replica(job.id, volumes, run.generation, run.id)
        reach("prepare.made")
        options = replication.parse(job.spec.replication_parameters).options()
        leave = self.door.leave(job.id, run.id, run.generation, volumes, checksum=options.checksum)
        assignment = Assignment(
            run=run.id,
            job=job.id,
            generation=run.generation,
            ticket=leave.ticket,
            receiver_host=leave.host,
            receiver_port=leave.port,
            volumes=plan.assignment_volumes(disks),
            options=options,
            base_roots=tuple(root.hex() for root in roots),
        )
        instance = job.transition_instance_id or new_id(Kind.INSTANCE)
        self.store.runs.hand_over(assignment, inventory, instance, ACTOR)
        reach("prepare.handed_over")
        return NEXT

    def _sync(self, task: _Task) -> str:
        result = task.run.result
        if result is None:
            return WAIT
        reach("sync.reported")
        if result.error is not None:
            raise ReportedError(result.error.code, result.error.what, result.error.advice)
        self.store.runs.apply(task.run, Event.SYNCED, ACTOR, status_info=phase_info("processing"))
        reach("sync.done")
        return NEXT

    def _build(self, task: _Task) -> str:
        job = task.job
        self.store.runs.enter(task.run.id, Stage.BUILDING)
        self._say(task, "sealing")
        reach("build.begun")
        self.driver.seal(job.id, task.run.id, _roots(task.run.result))
        reach("build.sealed")
        self._delete_given_up(task)
        record = self._image(task)
        reach("build.reserved")
        overlays = self.driver.create_image(
            record.id,
            job.id,
            record.name,
            description=record.description,
            region=record.region,
            sizes=plan.target_sizes(job.spec),
        )
        reach("build.overlaid")
        if not self.store.images.names([record.id]):  # this host stood still, and woke up after a takeover
            self.driver.delete_image(record.id)
            return OVER
        report = self.converter.convert(
            self.driver.image(record.id),
            overlays,
            _copied(task),
            lambda doing: self._say(task, "converting", doing),
        )
        reach("build.converted")
        self.driver.record_conversion(record.id, report)
        reach("build.recorded")
        return NEXT

    def _delete_given_up(self, task: _Task) -> None:
        """What hosts were making from which the run was taken over; one that wakes up finds nothing."""
        for image in self.store.images.given_up(task.run.id):
            self.driver.delete_image(image.id)
            reach("given_up.deleted")
            self.store.images.remove(image.id)
            reach("given_up.removed")

    def _check(self, task: _Task) -> str:
        self.store.runs.enter(task.run.id, Stage.CHECKING)
        self._say(task, "boot check")
        reach("check.begun")
        command = replication.parse(task.job.spec.replication_parameters).boot_check_command
        self.driver.boot_check(self._image(task).id, command=command)
        reach("check.booted")
        return NEXT

    def _finish(self, task: _Task) -> str:
        reach("finish.begun")
        image = self.driver.finish_image(self._image(task).id)
        names = tuple(disk.path.name for disk in image.disks)
        self.store.images.finish(image.id, str(image.folder), names)
        reach("finish.registered")
        conversion = conversion_text(self.driver.conversion(image.id))
        boot_check = boot_text(self.driver.boot_evidence(image.id))
        self.store.runs.note_image(task.run.id, image.id, conversion, boot_check)
        reach("finish.noted")
        self.store.runs.apply(
            task.run, Event.PROCESSED, ACTOR, image.id, image_id=image.id,
            status_info=phase_info("cleaning"),
        )  # fmt: skip
        reach("finish.done")
        return NEXT

    def _clean(self, task: _Task) -> str:
        self.store.runs.enter(task.run.id, Stage.CLEANING)
        reach("clean.begun")
        retain(self.store, self.driver, task.job)
        reach("clean.retained")
        event = Event.CLEANED if task.job.spec.run_once or task.job.cut_over else Event.WAIT
        self.store.runs.end(task.run.id, event, ACTOR)
        reach("clean.done")
        return NEXT

    def _failed(self, task: _Task, error: Exception) -> str:
        """The job says what happened, last of all, so that a repeat finds what is still to be done."""
        if self.stopping():
            raise InterruptedByStopError from error
        if self._task(task.run.id, task.run.generation) is None:
            return OVER  # a newer generation has the image and the job: what failed is no business of theirs
        if not isinstance(error, RehostError):
            _log.exception("run %s of job %s: an error that nobody foresaw", task.run.id, task.job.id)
        what, advice = _words(error)
        reach("fail.begun")
        if task.job.state is JobState.PROCESSING:
            image = self._image(task)
            self.driver.fail_image(image.id, what)
            reach("fail.image")
            self.store.images.fail(image.id)
            reach("fail.image_recorded")
        self.store.runs.note_error(task.run.id, f"{code_of(error)}: {what}")
        reach("fail.noted")
        self.store.runs.apply(
            task.run, Event.FAIL, ACTOR, f"{code_of(error)}: {what}",
            error_code=code_of(error), status_info=error_info(code_of(error), what, advice),
        )  # fmt: skip
        reach("fail.done")
        return OVER

    def _image(self, task: _Task) -> ImageRecord:
        return self.store.images.reserve(task.job, task.run.id, task.run.generation)

    def _say(self, task: _Task, phase: str, doing: str = "") -> None:
        self.store.jobs.report(task.job.id, task.run.id, task.job.state, phase_info(phase, doing))


def _copied(task: _Task) -> Inventory:
    """The source as it was when the run began, with the disks that the job copies."""
    if task.run.inventory is None:
        raise RehostError(f"the run {task.run.id} has no inventory of its source", "start the job again")
    disks = plan.disks_of(task.job.spec, task.run.inventory)
    return replace(task.run.inventory, disks=disks)


def _roots(result: Result | None) -> list[bytes]:
    if result is None or result.report is None:
        raise RehostError("the run has no report of its copy", "start the job again")
    return [bytes.fromhex(root) for root in result.report.roots]


def _words(error: Exception) -> tuple[str, str]:
    if isinstance(error, RehostError):
        return error.what, error.advice or "start the job again when the cause is gone"
    return f"{type(error).__name__}: {error}", "see the log of rehost serve, then start the job again"
