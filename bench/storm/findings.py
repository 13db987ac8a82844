"""What records and the machine say after a storm: the jobs' stories, takeovers, and what was left over."""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.storm.blows import Blow
from bench.storm.network import pids_in
from bench.storm.record import Moment, Step, Story, Takeover, What
from bench.storm.scene import Scene
from rehost.compute.local.folders import visible
from rehost.store.images import ImageState
from rehost.store.store import Store
from rehost.track import pins
from tests.migration.holdings import loops, processes

_ENDING = 15.0  # seconds for processes to be gone
_TAKEN = re.compile(r"by host (\S+) instead of (\S+)")


def stories(scene: Scene, store: Store) -> Iterator[Story]:
    for source in scene.sources:
        for job in sorted(store.jobs.of_source(source.id), key=lambda job: job.created):
            runs = store.runs.of_jobs([job.id])[job.id]
            steps = tuple(
                Step(each.at, each.what, each.state, each.detail) for each in store.events.of(job.id)
            )
            ended = sum(run.ended is not None for run in runs)
            yield Story(job.id, source.name, not job.spec.run_once, ended, steps)


def takeovers(found: Sequence[Story], moments: Sequence[Moment], names: dict[str, str]) -> Iterator[Takeover]:
    """`names`: of hosts, by their ids."""
    for story in found:
        for step in story.steps:
            taken = _TAKEN.search(step.detail)
            if taken:
                away = names.get(taken[2], taken[2])
                yield Takeover(step.at, story.job, away, _away_for(away, step.at, moments))


def _away_for(host: str, at: float, moments: Sequence[Moment]) -> float | None:
    """Seconds since it was struck; None if it was up again: it had lost its lease otherwise."""
    before = [each for each in moments if each.unit == host and each.at < at and not _of_receiver(each)]
    struck = [each for each in before if each.what in (What.STRUCK, What.ENDED)]
    back = [each for each in before if each.what in (What.READY, What.GOES_ON)]
    if not struck or (back and back[-1].at > struck[-1].at):
        return None
    return at - struck[-1].at


def _of_receiver(moment: Moment) -> bool:
    return moment.what is What.STRUCK and moment.detail == Blow.RECEIVER


def unfinished(scene: Scene, store: Store) -> Iterator[str]:
    """Records that are not at their end, and files without a record."""
    there = set()
    for source in scene.sources:
        for job in store.jobs.of_source(source.id):
            there.add(job.id)
            if job.state.text != "Finished":
                yield f"job {job.id} is {job.state.text}: {job.error_code} {job.status_info}"
            for run in store.runs.of_jobs([job.id])[job.id]:
                if run.ended is None:
                    yield f"run {run.id} of {job.id} has not ended"
    images = store.images.all()
    yield from (f"image {each.id} is {each.state}" for each in images if each.state != ImageState.AVAILABLE)
    yield from _strangers(scene.volumes / "images", {each.id for each in images})
    yield from _strangers(scene.volumes / "replicas", there)


def still_running(scene: Scene) -> Iterator[str]:
    """Processes of hosts and agents, some seconds after they were ended in order."""
    deadline = time.time() + _ENDING
    while any(pids_in(space) for space in scene.spaces) and time.time() < deadline:
        time.sleep(0.2)
    for space in scene.spaces:
        yield from (f"process {pid} of {space.name}" for pid in pids_in(space))


def still_tracked(scene: Scene) -> Iterator[str]:
    kept = pins.numbers_kept()
    return (f"a tracker of {each.name}" for each in scene.sources if each.disk.number in kept)


def still_held(folder: Path) -> Iterator[str]:
    """When the scene is gone."""
    yield from (f"process {pid}: {line}" for pid, line in processes(folder))
    yield from (f"a loop device of {file}" for file in loops(folder))
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    yield from (f"a mount: {line}" for line in mounts if str(folder) in line)


def _strangers(folder: Path, known: set[str]) -> Iterator[str]:
    found = [path.name for path in visible(folder)]
    yield from (f"{folder.name}/{name} is nobody's" for name in found if name not in known)
