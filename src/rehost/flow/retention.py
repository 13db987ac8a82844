"""Keeping as many images of a job as were asked for."""

from rehost.block.crashpoint import reach
from rehost.compute.driver import Driver
from rehost.store.images import ImageState
from rehost.store.store import Store
from rehost.store.transition import Job

ACTOR = "rehost"


def retain(store: Store, driver: Driver, job: Job) -> None:
    """Delete what is too old, records with it. What is in use is said once, and done at a later call.

    A job's only run has nothing to give way for.
    """
    if job.spec.max_images is None or job.spec.run_once:
        return
    trimmed = driver.trim(job.id, job.spec.max_images)
    reach("retain.trimmed")
    there = {image.id for image in driver.images()}
    known = [each for each in store.images.of_job(job.id) if each.state is ImageState.AVAILABLE]
    if missing := [record for record in known if record.id not in there]:
        elsewhere = _made_elsewhere(store, job)
        for record in missing:
            if record.run not in elsewhere:
                store.images.remove(record.id)
                reach("retain.removed")
    for image in trimmed.deleted:
        store.events.add(job.id, ACTOR, "IMAGE DELETED", f"{image}: {job.spec.max_images} are kept")
    if trimmed.postponed:
        _say_once(store, job, trimmed.postponed)


def _made_elsewhere(store: Store, job: Job) -> frozenset[str]:
    """Runs whose images another host has, alone: it had the job before."""
    apart = store.hosts.apart(job.host)
    return frozenset(run.id for run in store.runs.of_jobs([job.id])[job.id] if run.host in apart)


def _say_once(store: Store, job: Job, why: str) -> None:
    """Upkeep comes again and again; its reason is of interest when it is another one."""
    said = [event for event in store.events.of(job.id) if event.what == "IMAGES KEPT"]
    if not said or said[-1].detail != why:
        store.events.add(job.id, ACTOR, "IMAGES KEPT", why)
