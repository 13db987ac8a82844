"""Jobs on a `Site` with a crash on their way: each function returns when what was asked for has come true."""

import time
from collections.abc import Callable, Sequence

from rehost.compute.local import LocalDriver
from rehost.core.errors import NotFoundError
from rehost.core.job import JobState
from rehost.store.images import ImageState
from rehost.store.jobspec import JobSpec
from tests.crash.site import Site, State
from tests.migration.ledger import Ledger

SLOWLY = '{"bandwidth_limit": 1500, "compress_level": 0}'  # KB/s: a first run takes some seconds

MORE_SLOWLY = '{"bandwidth_limit": 400, "compress_level": 0}'


def incremental(site: Site, **wishes: str) -> str:
    """A job that keeps one image."""
    return site.create_job(RunOnce="false", Frequency="24", MaxNumberOfImageToKeep="1", **wishes)


def due(site: Site) -> str:
    """The same, and its first run is due."""
    spec = JobSpec(
        site.source, run_once=False, frequency=24, max_images=1, scheduled_start=time.time(), name="due"
    )
    return site.store.jobs.create("default", spec, None, "test").id


def run(site: Site, job: str, number: int, point: str = "", then: str = "") -> None:
    """A run that is asked for by hand, with a crash at the point (and perhaps another), up to its end."""
    site.change_disk()
    site.arm(point, then)
    site.call("StartReplicationJob", JobId=job)
    finish(site, job, number, f"{point}, {then}")


def finish(site: Site, job: str, number: int, point: str = "") -> None:
    def ended(now: State) -> bool:
        return now.job.state is JobState.WAITING and len(now.runs) == number and now.last_ended

    until(site, job, ended, f"run {number} has not ended after a crash at {point!r}")
    site.check_waiting(job, number)


def fail(site: Site, job: str, point: str = "") -> None:
    """A run whose conversion fails, and nothing else."""
    broken = site.data / "no-conversion"
    broken.touch()
    site.arm(point)
    site.call("StartReplicationJob", JobId=job)
    until(site, job, lambda now: now.job.state is JobState.PROCESS_FAILED, f"no failure after {point!r}")
    now = site.state(job)
    assert now.job.error_code == "Conversion.Failed"
    assert [image.state for image in now.images if image.run == now.job.current_run] == [ImageState.FAILED]
    assert not now.assigned
    broken.unlink()


def stop(site: Site, job: str, chunks: int, point: str) -> set[tuple[int, int]]:
    """Stop a copy of which so many chunks are durable, with a crash; what is durable when it has stopped.

    One that died before it wrote anything down is asked again.
    """
    replica = site.data / "replicas" / job
    site.until(lambda: len(Ledger(replica).content) >= chunks, f"{chunks} chunks are not copied")
    site.arm(point)
    site.call("StopReplicationJob", JobId=job)
    site.until(lambda: not site.waits, f"nobody died at {point}")
    site.arm("")
    if site.state(job).job.state is JobState.SYNCING:
        site.call("StopReplicationJob", JobId=job)
    now = site.state(job)
    assert (now.job.state, now.assigned) == (JobState.STOPPED, False)
    return Ledger(replica).content


def delete(site: Site, job: str, point: str = "") -> None:
    site.arm(point)
    site.call("DeleteReplicationJob", JobId=job)
    until_gone(site, [job], point)


def until_gone(site: Site, jobs: Sequence[str], point: str) -> None:
    def gone() -> bool:
        return not site.waits and not any(exists(site, job) for job in jobs)

    site.until(gone, f"the job is not gone after a crash at {point!r}")


def exists(site: Site, job: str) -> bool:
    try:
        site.store.jobs.get(job)
    except NotFoundError:
        return False
    return True


def delete_images(site: Site) -> None:
    """As an operator does, when the jobs are gone: the replicas go with them."""
    driver = LocalDriver(site.data)
    for image in driver.images():
        driver.delete_image(image.id)
    assert site.folders("images") == []
    site.check_nothing_left()


def until(site: Site, job: str, condition: Callable[[State], bool], what: str) -> None:
    """The condition holds, and somebody has died where it was asked for."""
    site.until(lambda: not site.waits and condition(site.state(job)), what)
