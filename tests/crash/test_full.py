"""A disk of the control plane is full to the last byte: jobs wait or fail clearly, and then go on.

Nothing is started again meanwhile: making room is all that is asked of people.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from rehost.core.job import Status
from tests.crash import runs
from tests.crash.site import SIZE, Site
from tests.loopdisks import LoopDisks, fill, run, wait_until_unmounted

MIB = 1 << 20
FULL = 10.0  # seconds: several repetitions of whatever waits for room

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path, cache: Path, disks: LoopDisks) -> Iterator[MakeSite]:
    """A site of which these folders have a small file system each."""
    with ExitStack() as made:

        def make(*folders: str) -> Site:
            for folder in folders:
                small = tmp_path / "data" / folder
                small.mkdir(parents=True)
                run("mount", disks.make(48 * MIB, "ext4", ("-q", "-m", "0"), mounted=False).path, small)
                made.callback(wait_until_unmounted, small)
            site = made.enter_context(closing(Site(tmp_path, cache, disks.make(SIZE).path, tmp_path)))
            site.start()
            return site

        yield make


@pytest.mark.lab
@pytest.mark.parametrize("folder", ["images", "replicas"])
def test_where_images_or_replicas_lie(make_site: MakeSite, folder: str) -> None:
    site = make_site(folder)
    job = runs.incremental(site)
    runs.run(site, job, 1)
    ballast = fill(site.data / folder)
    site.change_disk()
    site.call("StartReplicationJob", JobId=job)
    site.until_state(job, lambda now: now.job.state.status is Status.IN_ERROR, "it does not fail")
    failed = site.state(job).job
    assert failed.error_code == "TargetDisk.Full"
    assert "make room" in failed.status_info
    ballast.unlink()
    runs.run(site, job, 2)


@pytest.mark.parametrize("after", [0.3, *(pytest.param(s, marks=pytest.mark.lab) for s in (0, 1, 2))])
def test_where_the_records_lie(make_site: MakeSite, after: float) -> None:
    """So many seconds after the start: nobody could be told anything, so everything waits."""
    site = make_site("", "replicas", "images")
    job = runs.incremental(site)
    runs.run(site, job, 1)
    site.change_disk()
    site.call("StartReplicationJob", JobId=job)
    time.sleep(after)
    ballast = fill(site.data)
    time.sleep(FULL)
    ballast.unlink()
    runs.finish(site, job, 2)
