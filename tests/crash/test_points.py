"""A process is killed at every crash point, is started again, and everything ends as it would have."""

import random
import re
from pathlib import Path

import pytest

from rehost.block.crashpoint import POINTS
from tests.crash import runs
from tests.crash.site import CHUNK, SIZE, Site

SOURCES = Path(__file__).parents[2] / "src"

OVERHEAD = 128  # bytes of a chunk's frame besides its content, at most
FIRST_RUN = ("layer.built", "layer.placed", "replica.begun", "replica.fenced", "replica.described",
             "agent.checkpoint_begun")  # fmt: skip
FAILURE = tuple(point for point in POINTS if point.startswith("fail."))
DELETION = (
    "nudge.begun", "release.begun", "release.image", "release.image_removed",
    "release.discarded", "release.done",
)  # fmt: skip
RESTORATION = tuple(point for point in POINTS if point.startswith("restore."))  # see test_restored
STOP = ("stop.asked", "nudge.begun", "stop.done")
TAKEOVER = tuple(point for point in POINTS if point.startswith(("takeover.", "given_up.")))  # test_takeover
OTHERS = ("source.removed", "due.begun", "discard.marked", "webhook.answered")
ELSEWHERE = (*STOP, *FIRST_RUN, *FAILURE, *DELETION, *RESTORATION, *TAKEOVER, *OTHERS)
LATER_RUN = tuple(point for point in POINTS if point not in ELSEWHERE)

pytestmark = pytest.mark.timeout(1800)


def some(*points: str) -> object:
    return pytest.param(points, id="some")


def every(points: tuple[str, ...]) -> object:
    return pytest.param(points, id="every", marks=pytest.mark.lab)


def test_the_table_has_the_points_of_the_code_and_no_other() -> None:
    texts = [path.read_text() for path in sorted((SOURCES / "rehost").rglob("*.py"))]
    found = [point for text in texts for point in re.findall(r'\breach\("([a-z_.]+)"\)', text)]
    computed = [point for point in POINTS if point.startswith("merge.")]
    assert sorted([*found, *computed]) == sorted(POINTS)


@pytest.mark.parametrize(
    "points",
    [
        some("agent.result_kept", "image.built", "merge.committed"),
        every(LATER_RUN),
    ],
)
def test_a_later_run(site: Site, points: tuple[str, ...]) -> None:
    job = runs.incremental(site)
    runs.run(site, job, 1)
    for number, point in enumerate(points, 2):
        runs.run(site, job, number, point)
    site.verify(site.state(job).job.image_id)


@pytest.mark.lab
@pytest.mark.timeout(7200)
def test_a_hundred_runs_with_two_crashes(site: Site) -> None:
    """The second one comes where it may: a step that was done before the first is not done again."""
    choose = random.Random(5)
    job = runs.incremental(site)
    runs.run(site, job, 1)
    for number in range(2, 102):
        runs.run(site, job, number, *choose.choices(LATER_RUN, k=2))
    site.verify(site.state(job).job.image_id)


@pytest.mark.parametrize("points", [some("replica.fenced"), every(FIRST_RUN)])
def test_a_first_run(site: Site, points: tuple[str, ...]) -> None:
    for point in points:
        job = runs.incremental(site)
        runs.run(site, job, 1, point)
        site.verify(site.state(job).job.image_id)
        runs.delete(site, job)
        runs.delete_images(site)


@pytest.mark.parametrize("points", [some("nudge.begun"), every(STOP)])
def test_a_copy_that_is_stopped(site: Site, points: tuple[str, ...]) -> None:
    """What was sent is kept: when it is started again, only the rest is sent."""
    job = runs.incremental(site, ReplicationParameters=runs.MORE_SLOWLY)
    kept: set[tuple[int, int]] = set()
    for number, point in enumerate(points, 1):
        site.call("StartReplicationJob", JobId=job)
        durable = runs.stop(site, job, 3 * number, point)
        assert durable >= kept, f"what was sent before {point}"
        kept = durable
    site.call("StartReplicationJob", JobId=job)
    runs.finish(site, job, 1)
    (run,) = site.state(job).runs
    assert run.generation == len(points) + 1
    assert run.result is not None
    assert run.result.report is not None
    assert run.result.report.sent <= (SIZE // CHUNK - len(kept)) * (CHUNK + OVERHEAD)


@pytest.mark.lab
def test_a_run_that_is_due(site: Site) -> None:
    site.arm("due.begun")
    job = runs.due(site)
    runs.finish(site, job, 1, "due.begun")


@pytest.mark.parametrize("points", [every(FAILURE)])
def test_a_run_that_fails_and_is_started_again(site: Site, points: tuple[str, ...]) -> None:
    job = runs.incremental(site)
    for number, point in enumerate(points, 1):
        runs.fail(site, job, point)
        runs.run(site, job, number)


@pytest.mark.parametrize("points", [some("release.image"), every(DELETION)])
def test_a_job_that_is_deleted_with_what_it_built(site: Site, points: tuple[str, ...]) -> None:
    for point in points:
        job = runs.incremental(site)
        runs.fail(site, job)
        runs.delete(site, job, point)
        assert site.folders("images") == []
        site.check_nothing_left()


@pytest.mark.lab
def test_a_deleted_job_leaves_its_image_and_what_that_lies_on(site: Site) -> None:
    job = runs.incremental(site)
    runs.run(site, job, 1)
    image = site.state(job).job.image_id
    runs.delete(site, job, "discard.marked")
    site.check_nothing_left(job)
    site.verify(image)
    runs.delete_images(site)


@pytest.mark.lab
def test_a_source_server_that_is_deleted_with_its_job(site: Site) -> None:
    job = runs.incremental(site)
    runs.fail(site, job)
    site.arm("source.removed")
    site.call("DeleteSourceServer", SourceId=site.source, Force="true")
    runs.until_gone(site, [job], "source.removed")
    site.check_nothing_left()
