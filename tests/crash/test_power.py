"""The power goes where a process dies: whatever was acknowledged is there, and everything goes on from it."""

import pytest

from tests.crash import runs
from tests.crash.site import Site
from tests.crash.test_points import FAILURE, FIRST_RUN, LATER_RUN, every, some

pytestmark = pytest.mark.timeout(3000)


@pytest.mark.parametrize("points", [some("check.begun", "merge.rebased"), every(LATER_RUN)])
def test_a_later_run(volatile_site: Site, points: tuple[str, ...]) -> None:
    site = volatile_site
    job = runs.incremental(site)
    runs.run(site, job, 1)
    for number, point in enumerate(points, 2):
        runs.run(site, job, number, point)
    site.verify(site.state(job).job.image_id)


@pytest.mark.parametrize("points", [every(FIRST_RUN)])
def test_a_first_run(volatile_site: Site, points: tuple[str, ...]) -> None:
    site = volatile_site
    for point in points:
        job = runs.incremental(site)
        runs.run(site, job, 1, point)
        site.verify(site.state(job).job.image_id)
        runs.delete(site, job)
        runs.delete_images(site)


@pytest.mark.lab
def test_a_run_that_fails(volatile_site: Site) -> None:
    site = volatile_site
    job = runs.incremental(site)
    for number, point in enumerate(FAILURE, 1):
        runs.fail(site, job, point)
        runs.run(site, job, number)
