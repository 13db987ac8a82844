"""Records of images that a job does not keep go; those of images that are only elsewhere do not."""

from dataclasses import replace

import pytest

from rehost.core.job import JobState
from rehost.flow.retention import retain
from rehost.store.hosts import HostKind, Presence
from rehost.store.schema import jobs
from tests.flow.world import World

FIRST = Presence("h-1", "one", HostKind.WORKER, "one.example", 7443, 1 << 40, "0.1", "", "keys")


@pytest.mark.parametrize("shared", ["", "nas"])
def test_images_that_another_host_has_alone_stay_known(world: World, shared: str) -> None:
    """The job was copied anew at the second host, whose driver has none of its images."""
    source, job_id, run = world.started(run_once=False, frequency=12, max_images=1)
    world.copied(source, run)
    image = world.until(job_id, JobState.WAITING).image_id
    first = replace(FIRST, volumes=shared)
    world.store.hosts.join(first)
    world.store.hosts.join(replace(first, id="h-2", name="two"))
    with world.store.database.write() as connection:
        connection.execute(jobs.update().values(host="h-2"))
    world.driver.delete_image(image)
    retain(world.store, world.driver, world.store.jobs.get(job_id))
    left = [each.id for each in world.store.images.of_job(job_id)]
    assert left == ([] if shared else [image])
