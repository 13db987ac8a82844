import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.compute.driver import ImageState, Trimmed
from rehost.compute.memory import MemoryDriver
from rehost.core.agentapi import DiskProgress, Heartbeat, Phase, Progress, Result
from rehost.core.errors import (
    BootCheckError,
    ConversionError,
    InvalidTransitionError,
    NotFoundError,
    RehostError,
    RunningJobError,
    VolumeFullError,
)
from rehost.core.job import Event, JobState
from rehost.core.round import RoundKind
from rehost.flow.engine import WorkflowState
from rehost.flow.run import workflow_id
from rehost.flow.upkeep import LOOK_AT_ENGINE, Upkeep
from rehost.store import images
from rehost.store.hosts import HostKind, Presence
from rehost.store.runs import RunType
from tests.flow.world import INVENTORY, REPORT, ROOTS, World


def half_copied(run: str) -> Progress:
    disk = DiskProgress(0, 100, 50, 50, 50, 50, 1.0, 50.0)
    return Progress(run, 1, Phase.COPYING, 1, RoundKind.BASELINE, (disk,))


def test_a_run_goes_from_start_to_image(world: World) -> None:
    source, job_id, run = world.started(replication_parameters='{"bandwidth_limit": 9, "streams": 3}')
    _, assignment = world.store.assignments.get(source)
    assert assignment is not None
    assert (assignment.run, assignment.job, assignment.generation) == (run, job_id, 1)
    assert assignment.ticket == f"ticket of {run}.1"
    assert [(v.volume, v.disk_path) for v in assignment.volumes] == [(0, "/dev/sda"), (1, "/dev/sdb")]
    assert (assignment.options.bandwidth_limit, assignment.options.streams) == (9, 3)
    assert world.store.jobs.get(job_id).transition_instance_id.startswith("i-")
    assert world.copied(source, run)
    done = world.until(job_id, JobState.FINISHED)
    assert (done.progress, done.error_code) == (100.0, "")
    assert json.loads(done.status_info)["copy"]["freeze_seconds"] == 0.1
    assert done.ended is not None
    image = world.driver.image(done.image_id)
    assert (image.name, image.state) == ("golden", ImageState.READY)
    record = world.store.images.get(done.image_id)
    assert record.state is images.ImageState.AVAILABLE
    assert record.disks == ("disk-0.qcow2", "disk-1.qcow2")
    assert world.converter.disks == [0, 1]
    assert world.driver.reports[image.id] == {"changes": []}
    kept = world.store.runs.get(run)
    assert (kept.image_id, kept.type, kept.ended is not None) == (done.image_id, RunType.MANUAL, True)
    assert json.loads(kept.conversion)["files"] == []
    assert json.loads(kept.boot_check)["verdict"] == "ok"
    assert world.store.assignments.get(source)[1] is None
    what = [event.what for event in world.store.events.of(job_id)]
    assert what == ["CREATE", "START", "PREPARED", "SYNCED", "PROCESSED", "CLEANED"]


def runs_again(world: World, source: str, job_id: str, count: int) -> list[str]:
    """So many more runs of a job that waits, by hand; their images."""
    made = []
    for _ in range(count):
        run = world.lifecycle.start(job_id, "tester")
        world.until(job_id, JobState.SYNCING)
        world.copied(source, run.id, run.generation)
        made.append(world.until(job_id, JobState.WAITING).image_id)
    return made


def test_an_incremental_job_runs_again_on_top_of_what_it_has(world: World) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=2)
    assert world.assignment(source).base_roots == ()
    world.copied(source, run)
    first = world.until(job_id, JobState.WAITING)
    again = world.lifecycle.start(job_id, "tester")
    assert (again.number, again.generation, again.type) == (2, 2, RunType.MANUAL)
    world.until(job_id, JobState.SYNCING)
    assert (world.assignment(source).generation, world.assignment(source).base_roots) == (2, ROOTS)
    assert not world.copied(source, run, 1)
    assert world.copied(source, again.id, 2)
    second = world.until(job_id, JobState.WAITING)
    assert second.image_id != first.image_id
    names = [image.name for image in world.store.images.of_job(job_id)]
    assert names == ["golden", f"golden_{job_id}"]
    kept = world.store.runs.of_jobs([job_id])[job_id]
    assert [run.image_id for run in kept] == [first.image_id, second.image_id]


def test_only_the_newest_images_of_an_incremental_job_are_kept(world: World) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=2)
    world.copied(source, run)
    oldest = world.until(job_id, JobState.WAITING).image_id
    world.driver.busy.add(oldest)
    newer = runs_again(world, source, job_id, 1)
    assert [image.id for image in world.driver.images()] == [oldest, *newer]
    newer += runs_again(world, source, job_id, 1)
    assert [image.id for image in world.driver.images()] == [oldest, newer[1]]
    newer += runs_again(world, source, job_id, 1)
    world.driver.busy.clear()
    newer += runs_again(world, source, job_id, 1)
    left = [image.id for image in world.driver.images()]
    assert left == [image.id for image in world.store.images.of_job(job_id)] == newer[-2:]
    assert world.driver.layers(job_id) == 2


@pytest.mark.parametrize("over", [False, True])
def test_what_was_in_use_is_said_once_and_goes_when_it_is_free(world: World, over: bool) -> None:
    """Of a job that is over too: its cut over was the last time that anything of it ran."""
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=1)
    world.copied(source, run)
    oldest = world.until(job_id, JobState.WAITING).image_id
    world.driver.busy.add(oldest)
    (newer,) = runs_again(world, source, job_id, 1)
    if over:
        world.lifecycle.cut_over(job_id, "tester", sync=False)
        world.until(job_id, JobState.FINISHED)
    for _ in range(2 * LOOK_AT_ENGINE):
        world.upkeep.tick()
    what = [event.what for event in world.store.events.of(job_id)]
    assert what.count("IMAGES KEPT") == 1
    assert len(world.driver.images()) == 2
    world.driver.busy.clear()
    for _ in range(LOOK_AT_ENGINE):
        world.upkeep.tick()
    assert [image.id for image in world.driver.images()] == [newer]
    assert [image.id for image in world.store.images.of_job(job_id)] == [newer]


class Merging(MemoryDriver):
    """Has layers to merge until it is told that this is done."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.done = threading.Event(), threading.Event()

    def trim(self, job: str, keep: int) -> Trimmed:
        self.begun.set()
        self.done.wait(60)
        return super().trim(job, keep)


def test_a_merge_that_takes_long_keeps_no_other_job_waiting(world: World) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=1)
    world.copied(source, run)
    world.until(job_id, JobState.WAITING)
    driver = Merging(world.folder / "merging")
    upkeep = Upkeep(world.store, world.engine, driver, world.door)
    upkeep.start()
    try:
        assert driver.begun.wait(60)
        due = world.job(world.register("b"), scheduled_start=world.store.database.now() - 1).id
        upkeep.wake()
        world.until(due, JobState.SYNCING)
        assert not driver.done.is_set()
    finally:
        driver.done.set()
        upkeep.close()


def test_the_next_run_begins_its_frequency_after_the_end_of_the_last(world: World) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=2)
    world.copied(source, run)
    ended = world.until(job_id, JobState.WAITING).ended
    assert ended is not None
    clock = world.store.database.now
    for hours, state in ((11.99, JobState.WAITING), (12.01, JobState.SYNCING)):
        world.store.database.now = lambda hours=hours: ended + hours * 3600
        world.upkeep.tick()
        world.until(job_id, state)
    world.store.database.now = clock
    scheduled = world.store.runs.get(world.store.jobs.get(job_id).current_run)
    assert (scheduled.type, scheduled.number) == (RunType.SCHEDULE, 2)
    world.copy_failed(source, scheduled.id, scheduled.generation)
    assert world.until(job_id, JobState.SYNC_FAILED).image_id
    again = world.lifecycle.start(job_id, "tester")
    assert (again.id, again.generation) == (scheduled.id, 3)


def test_a_failed_copy_says_what_the_agent_said_and_can_be_started_again(world: World) -> None:
    source, job_id, run = world.started()
    assert world.copy_failed(source, run)
    failed = world.until(job_id, JobState.SYNC_FAILED)
    assert failed.error_code == "SourceDisk.ReadFailed"
    assert json.loads(failed.status_info) == {
        "error_code": "SourceDisk.ReadFailed",
        "error_msg": "sda is broken",
        "advice": "replace it",
    }
    assert world.store.assignments.get(source)[1] is None
    again = world.lifecycle.start(job_id, "tester")
    assert (again.id, again.generation) == (run, 2)
    syncing = world.until(job_id, JobState.SYNCING)
    assert (syncing.error_code, syncing.transition_instance_id) == ("", failed.transition_instance_id)
    assert not world.copied(source, run, generation=1)
    assert world.copied(source, run, generation=2)
    world.until(job_id, JobState.FINISHED)


@pytest.mark.parametrize(
    ("method", "state", "error"),
    [
        ("create_replica", JobState.PREPARE_FAILED, VolumeFullError("no room", "make some")),
        ("seal", JobState.PROCESS_FAILED, VolumeFullError("no room", "make some")),
        ("create_image", JobState.PROCESS_FAILED, VolumeFullError("no room", "make some")),
        ("boot_check", JobState.PROCESS_FAILED, BootCheckError("no login prompt")),
        ("finish_image", JobState.PROCESS_FAILED, ZeroDivisionError("surprise")),
    ],
)
def test_what_fails_is_in_the_job_and_a_start_mends_it(
    world: World, method: str, state: JobState, error: Exception
) -> None:
    source = world.register()
    job_id = world.job(source).id
    world.driver.failures[method] = error
    run = world.lifecycle.start(job_id, "tester")
    if state is JobState.PROCESS_FAILED:
        world.until(job_id, JobState.SYNCING)
        world.copied(source, run.id)
    failed = world.until(job_id, state)
    info = json.loads(failed.status_info)
    assert failed.error_code == info["error_code"] == getattr(error, "code", RehostError.code)
    assert str(error.args[0]) in info["error_msg"]
    assert info["advice"]
    assert all(image.state is ImageState.FAILED for image in world.driver.images())
    world.lifecycle.start(job_id, "tester")
    world.until(job_id, JobState.SYNCING)
    world.copied(source, run.id, generation=2)
    done = world.until(job_id, JobState.FINISHED)
    assert [image.state for image in world.driver.images()] == [ImageState.READY]
    assert [image.id for image in world.store.images.of_job(job_id)] == [done.image_id]


def test_a_failed_conversion_fails_the_job(world: World) -> None:
    source, job_id, run = world.started()
    world.converter.failure = ConversionError("no kernel in the guest", "install one")
    world.copied(source, run)
    failed = world.until(job_id, JobState.PROCESS_FAILED)
    assert failed.error_code == "Conversion.Failed"
    assert "Conversion.Failed" in world.store.runs.get(run).error


def test_a_disk_that_is_gone_is_named(world: World) -> None:
    source = world.register()
    job_id = world.job(source).id
    without = replace(INVENTORY, disks=INVENTORY.disks[:1])
    world.store.servers.heartbeat(source, Heartbeat(without, "", "0.1"))
    world.lifecycle.start(job_id, "tester")
    failed = world.until(job_id, JobState.PREPARE_FAILED)
    assert failed.error_code == "SourceDisk.Changed"
    assert "index 1" in failed.status_info


def test_a_stopped_job_ends_its_workflow_and_goes_on_later(world: World) -> None:
    source, job_id, run = world.started()
    world.lifecycle.stop(job_id, "tester")
    assert world.store.assignments.get(source)[1] is None
    _until_ended(world, run, 1)
    assert world.store.jobs.get(job_id).state is JobState.STOPPED
    world.lifecycle.start(job_id, "tester")
    world.until(job_id, JobState.SYNCING)
    world.copied(source, run, generation=2)
    world.until(job_id, JobState.FINISHED)


@pytest.mark.parametrize("sync", [True, False])
def test_cut_over_ends_a_job_with_a_last_run_or_without(world: World, sync: bool) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=2)
    world.copied(source, run)
    first = world.until(job_id, JobState.WAITING)
    last = world.lifecycle.cut_over(job_id, "tester", sync=sync)
    if sync:
        world.until(job_id, JobState.SYNCING)
        world.copy_failed(source, last.id, last.generation)
        world.until(job_id, JobState.SYNC_FAILED)
        last = world.lifecycle.start(job_id, "tester")
        world.until(job_id, JobState.SYNCING)
        world.copied(source, last.id, last.generation)
    done = world.until(job_id, JobState.FINISHED)
    kept = world.store.runs.of_jobs([job_id])[job_id]
    assert (done.image_id != first.image_id, len(kept)) == ((True, 2) if sync else (False, 1))
    assert all(run.ended is not None for run in kept)
    assert kept[0].ended == first.ended, "the run that had ended keeps its end"
    assert json.loads(done.status_info)["copy"]
    world.upkeep.tick()
    assert world.store.jobs.get(job_id).state is JobState.FINISHED


def test_a_failed_cleaning_goes_on_where_it_was(world: World) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=1)
    world.driver.failures["trim"] = VolumeFullError("no room", "make some")
    world.copied(source, run)
    failed = world.until(job_id, JobState.CLEAN_FAILED)
    again = world.lifecycle.start(job_id, "tester")
    assert (again.id, again.generation) == (run, 2)
    waiting = world.until(job_id, JobState.WAITING)
    assert waiting.image_id == failed.image_id
    assert world.store.runs.get(run).ended is not None
    assert len(world.converter.calls) == 1


def _until_ended(world: World, run: str, generation: int) -> None:
    ended = threading.Event()
    while (
        world.engine.states([workflow_id(run, generation)])[workflow_id(run, generation)]
        is not WorkflowState.ENDED
    ):
        ended.wait(0.05)


def test_a_job_that_runs_is_not_deleted(world: World) -> None:
    source, job_id, _ = world.started()
    with pytest.raises(InvalidTransitionError):
        world.lifecycle.delete(job_id, "tester")
    with pytest.raises(RunningJobError):
        world.lifecycle.delete_source(source, True, "tester")
    assert world.store.jobs.get(job_id).state is JobState.SYNCING


def test_deleting_a_failed_job_releases_everything(world: World) -> None:
    source, job_id, run = world.started()
    world.converter.failure = ConversionError("no")
    world.copied(source, run)
    world.until(job_id, JobState.PROCESS_FAILED)
    assert world.driver.has_replica(job_id)
    world.lifecycle.delete(job_id, "tester")
    world.upkeep.tick()
    assert not world.driver.has_replica(job_id)
    assert world.driver.images() == ()
    assert world.store.images.of_job(job_id) == ()
    with pytest.raises(NotFoundError):
        world.store.jobs.get(job_id)


def test_deleting_a_finished_job_keeps_its_image_and_what_that_is_built_on(world: World) -> None:
    source, job_id, run = world.started()
    world.copied(source, run)
    image_id = world.until(job_id, JobState.FINISHED).image_id
    world.lifecycle.delete(job_id, "tester")
    world.upkeep.tick()
    with pytest.raises(NotFoundError):
        world.store.jobs.get(job_id)
    assert world.driver.image(image_id).state is ImageState.READY
    assert world.driver.has_replica(job_id)
    assert world.store.images.get(image_id).job == job_id


def test_a_release_that_fails_says_so_and_is_tried_again(world: World) -> None:
    job_id = world.job(world.register()).id
    world.lifecycle.delete(job_id, "tester")
    world.driver.failures["discard_replica"] = VolumeFullError("stuck", "free it")
    world.upkeep.tick()
    stuck = world.store.jobs.get(job_id)
    assert stuck.state is JobState.DELETING
    world.upkeep.tick()
    with pytest.raises(NotFoundError):
        world.store.jobs.get(job_id)


def test_a_deleted_source_takes_its_jobs_along(world: World) -> None:
    source, job_id, run = world.started()
    world.copy_failed(source, run)
    world.until(job_id, JobState.SYNC_FAILED)
    world.lifecycle.delete_source(source, True, "tester")
    world.upkeep.tick()
    for look in (lambda: world.store.jobs.get(job_id), lambda: world.store.servers.get(source)):
        with pytest.raises(NotFoundError):
            look()


def test_upkeep_starts_what_a_crash_kept_from_starting(world: World) -> None:
    job_id = world.job(world.register()).id
    world.store.runs.begin(job_id, Event.START, RunType.MANUAL, "tester")
    world.upkeep.tick()
    world.until(job_id, JobState.SYNCING)


@pytest.mark.parametrize("event", [Event.CUT_OVER, Event.CUT_OVER_SYNC])
def test_upkeep_goes_on_with_a_cut_over_that_a_crash_kept_from_starting(world: World, event: Event) -> None:
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=2)
    world.copied(source, run)
    world.until(job_id, JobState.WAITING)
    last = world.store.runs.begin(job_id, event, RunType.MANUAL, "tester")
    world.upkeep.tick()
    if event is Event.CUT_OVER_SYNC:
        world.until(job_id, JobState.SYNCING)
        world.copied(source, last.id, last.generation)
    world.until(job_id, JobState.FINISHED)


def test_a_stop_whose_signal_got_lost_is_a_stop(world: World) -> None:
    """What a crash between the row and the signal leaves: the old workflow waits, and is of no more use."""
    source, job_id, run = world.started()
    world.store.jobs.apply(job_id, Event.STOP, "tester")
    assert world.store.assignments.get(source)[1] is None
    assert source not in world.store.copies.record({source: half_copied(run)})
    world.lifecycle.start(job_id, "tester")
    world.until(job_id, JobState.SYNCING)
    assert not world.copied(source, run, generation=1)
    assert world.copied(source, run, generation=2)
    world.until(job_id, JobState.FINISHED)


def test_upkeep_deletes_what_a_crash_kept_from_being_released(world: World) -> None:
    source, job_id, run = world.started()
    world.copy_failed(source, run)
    world.until(job_id, JobState.SYNC_FAILED)
    world.store.jobs.apply(job_id, Event.DELETE, "tester")
    world.upkeep.tick()
    assert not world.driver.has_replica(job_id)


def test_upkeep_sends_a_signal_that_got_lost(world: World) -> None:
    source, job_id, run = world.started()
    assert world.store.runs.record_result(source, Result(run, 1, REPORT))
    world.upkeep.tick()
    world.until(job_id, JobState.FINISHED)


def test_upkeep_starts_a_job_at_its_time(world: World) -> None:
    now = world.store.database.now()
    later = world.job(world.register("a"), scheduled_start=now + 3600).id
    due = world.job(world.register("b"), scheduled_start=now - 1).id
    world.upkeep.tick()
    world.until(due, JobState.SYNCING)
    assert world.store.runs.get(world.store.jobs.get(due).current_run).type is RunType.SCHEDULE
    assert world.store.jobs.get(later).state is JobState.READY


DAY = 86400.0


def at(world: World, days: float) -> None:
    """The clock of rows so many days from now; two ticks, since what one duty begins another one ends."""
    world.store.database.now = lambda: time.time() + days * DAY
    for _ in range(2):
        world.upkeep.tick()


def test_a_job_expires_is_kept_for_7_days_and_then_cleaned(world: World) -> None:
    job_id = world.job(world.register(), valid_until=time.time() + 30 * DAY).id
    at(world, 29.9)
    assert world.store.jobs.get(job_id).state is JobState.READY
    at(world, 30.1)
    assert world.store.jobs.get(job_id).state is JobState.EXPIRED
    with pytest.raises(InvalidTransitionError):
        world.lifecycle.start(job_id, "tester")
    at(world, 37)
    assert world.store.jobs.get(job_id).state is JobState.EXPIRED
    at(world, 37.2)
    with pytest.raises(NotFoundError):
        world.store.jobs.get(job_id)
    told = world.store.events.of(job_id)
    assert [(event.what, event.actor) for event in told[1:]] == [
        ("EXPIRE", "rehost"), ("DELETE", "rehost"), ("REMOVE", "rehost"),
    ]  # fmt: skip


def test_what_has_no_end_does_not_expire_and_what_waits_does_before_its_next_run(world: World) -> None:
    endless = world.job(world.register("b"), valid_until=None).id
    wishes = {"run_once": False, "frequency": 1, "max_images": 2}
    source, waiting, run = world.started(valid_until=time.time() + 7 * DAY, **wishes)
    world.copied(source, run)
    image = world.until(waiting, JobState.WAITING).image_id
    at(world, 1000)
    assert world.store.jobs.get(endless).state is JobState.READY
    assert world.store.jobs.get(waiting).state is JobState.EXPIRED
    at(world, 1007.1)
    assert world.driver.image(image).state is ImageState.READY, "what a job has made is not its own any more"


def test_a_job_that_runs_past_its_time_ends_its_run_first(world: World) -> None:
    source, job_id, run = world.started(valid_until=time.time() + 7 * DAY)
    at(world, 8)
    assert world.store.jobs.get(job_id).state is JobState.SYNCING
    world.copy_failed(source, run)
    world.until(job_id, JobState.SYNC_FAILED)
    at(world, 9)
    assert world.store.jobs.get(job_id).state is JobState.EXPIRED
    assert world.driver.has_replica(job_id)
    at(world, 16.1)
    assert not world.driver.has_replica(job_id)


def test_a_source_that_is_offline_is_said_and_its_copy_waits(world: World) -> None:
    source, job_id, run = world.started()
    world.store.copies.record({source: half_copied(run)})
    before = world.store.jobs.get(job_id)
    clock = world.store.database.now
    world.store.database.now = lambda: clock() + 1000
    world.upkeep.tick()
    waiting = world.store.jobs.get(job_id)
    info = json.loads(waiting.status_info)
    assert (waiting.state, waiting.progress) == (JobState.SYNCING, before.progress)
    assert info["phase"] == "source offline"
    assert "goes on when its agent is back" in info["message"]
    assert (info["disks"][0]["done"], info["disks"][0]["rate"], info["disks"][0]["eta"]) == (50, 0.0, None)
    assert world.copied(source, run)
    world.until(job_id, JobState.FINISHED)


def test_copies_that_go_on_as_they_should_cost_upkeep_the_same_however_many(world: World) -> None:
    """Thousands may be under way: a statement for each, and upkeep would do nothing else."""
    costs = []
    for letter in "abc":
        job = world.job(world.register(letter))
        world.lifecycle.start(job.id, "tester")
        world.until(job.id, JobState.SYNCING)
        world.upkeep.tick()
        costs.append(_statements(world, world.upkeep.tick))
    assert costs[0] == costs[1] == costs[2] > 0


def _statements(world: World, act: Callable[[], None]) -> int:
    """How many the records' database was asked by this thread."""
    asked: list[str] = []
    here = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == here:
            asked.append(statement)

    engine = world.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    act()
    sa.event.remove(engine, "before_cursor_execute", note)
    return len(asked)


def test_agents_are_told_where_the_data_plane_went(world: World) -> None:
    source, _, _ = world.started()
    version, _ = world.store.assignments.get(source)
    world.upkeep.tick()
    assert world.store.assignments.get(source)[0] == version
    world.door.place = ("", 9999)
    world.upkeep.tick()
    moved, assignment = world.store.assignments.get(source)
    assert assignment is not None
    assert (moved > version, assignment.receiver_port) == (True, 9999)


def test_a_workflow_that_ended_without_a_word_fails_its_job(world: World) -> None:
    source, job_id, run = world.started()
    world.engine.start("run", "other.1", run, "1")
    world.copied(source, run)
    world.until(job_id, JobState.FINISHED)
    # A job that says Syncing while its workflow has ended: what a lost row or a bug would look like.
    for workflow in (workflow_id(run, 1), "other.1"):
        world.engine.signal(workflow)
        while world.engine.states([workflow])[workflow] is not WorkflowState.ENDED:
            time.sleep(0.05)
    with world.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status='Running', business_status='Syncing'")
    world.upkeep.tick()
    failed = world.store.jobs.get(job_id)
    assert (failed.state, failed.error_code) == (JobState.SYNC_FAILED, "InternalError")


def test_steps_can_be_repeated_at_any_time(world: World) -> None:
    source, job_id, run = world.started()
    world.copied(source, run)
    world.until(job_id, JobState.FINISHED)
    before = (world.store.jobs.get(job_id), world.driver.images(), world.store.assignments.get(source))
    for step in ("prepare", "sync", "build", "check", "finish", "clean"):
        assert getattr(world.steps, step)(run, 1) == "over"
        assert getattr(world.steps, step)("r-none", 1) == "over"
    assert before == (
        world.store.jobs.get(job_id),
        world.driver.images(),
        world.store.assignments.get(source),
    )


def test_a_step_whose_record_was_lost_is_done_once(world: World) -> None:
    """What a crash between a step's last write and the engine's record of it leaves behind."""
    source = world.register()
    job_id = world.job(source).id
    run = world.store.runs.begin(job_id, Event.START, RunType.MANUAL, "tester").id
    assert [world.steps.sync(run, 1), world.steps.clean(run, 1)] == ["over", "over"]
    assert world.steps.prepare(run, 1) == "next"
    assigned = world.store.assignments.get(source)
    assert world.steps.prepare(run, 1) == "next"
    assert world.store.assignments.get(source) == assigned
    assert world.steps.sync(run, 1) == "wait"
    assert world.store.runs.record_result(source, Result(run, 1, REPORT))
    assert [world.steps.sync(run, 1), world.steps.sync(run, 1)] == ["next", "next"]
    for _ in range(2):  # the whole of processing may come again, up to its last write
        assert [world.steps.build(run, 1), world.steps.check(run, 1)] == ["next", "next"]
    assert [world.steps.finish(run, 1), world.steps.finish(run, 1)] == ["next", "next"]
    assert world.steps.build(run, 1) == "next"
    assert len(world.converter.calls) == 2
    assert world.steps.clean(run, 1) == "next"
    what = [event.what for event in world.store.events.of(job_id)]
    assert what == ["CREATE", "START", "PREPARED", "SYNCED", "PROCESSED", "CLEANED"]


def test_roots_arrive_at_the_seal_in_order(world: World) -> None:
    source, job_id, run = world.started()
    world.copied(source, run)
    world.until(job_id, JobState.FINISHED)
    assert world.driver._replicas[job_id].layers[-1].roots == tuple(bytes.fromhex(root) for root in ROOTS)


def test_a_stop_of_the_process_is_no_failure_of_the_job(world: World) -> None:
    source, job_id, run = world.started()
    converting, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        converting.set()
        go_on.wait(30)

    world.converter.hold = hold
    world.converter.failure = ConversionError("the machine was killed with the process")
    world.copied(source, run)
    assert converting.wait(60)
    world.stopping = True
    world.engine.close()
    go_on.set()
    while world.engine.busy:
        threading.Event().wait(0.05)
    assert world.store.jobs.get(job_id).state is JobState.PROCESSING
    world.stopping, world.converter.failure = False, None
    world.open_engine()
    world.until(job_id, JobState.FINISHED)
    assert len(world.converter.calls) == 2


def test_what_another_host_has_begun_for_this_one_starts_at_the_next_tick(world: World) -> None:
    world.upkeep.tick()
    job = world.job(world.register())
    run = world.store.runs.begin(job.id, Event.START, RunType.MANUAL, "tester")
    world.upkeep.tick()
    workflow = workflow_id(run.id, run.generation)
    assert world.engine.states([workflow]) != {workflow: WorkflowState.UNKNOWN}


def test_another_hosts_run_is_left_to_that_one(world: World) -> None:
    """Which may be of another release, whose steps are others."""
    world.store.hosts.join(Presence("h-1", "one", HostKind.WORKER, "one", 1, 1 << 40, "0.1", "", "keys"))
    run = world.lifecycle.start(world.job(world.register()).id, "tester")
    assert run is not None
    assert run.host == "h-1"
    workflow = workflow_id(run.id, run.generation)
    assert world.engine.states([workflow]) == {workflow: WorkflowState.UNKNOWN}
