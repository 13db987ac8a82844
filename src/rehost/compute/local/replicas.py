"""Replicas: a folder per job in `replicas`, made for the receiver to write to."""

import time
from collections.abc import Sequence
from pathlib import Path

from rehost.block.crashpoint import reach
from rehost.block.durable import write_file
from rehost.block.fence import EARLIER, Fence
from rehost.block.layer import Layer, chain
from rehost.block.replica import create, extend, open_replica, shapes_of
from rehost.block.room import room_at
from rehost.block.volume import VolumeShape
from rehost.compute.driver import VolumeSpec
from rehost.compute.local import folders, qemuimg
from rehost.compute.local.images import Base, Foundation
from rehost.core.errors import NotFoundError, VolumeError, VolumeFullError, VolumeInUseError

DISCARDED = "discarded"  # a file that says that the job needs its replica no more
LET_GO = 30.0  # seconds that the receiver has to let a sealed layer go


class Replicas:
    """The folder `replicas` of a data folder."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    def path(self, job: str) -> Path:
        if "/" in job or job.startswith(".") or not job:
            raise NotFoundError(f"{job!r} is not a job's id")
        return self._parent / job

    def exists(self, job: str) -> bool:
        return (self.path(job) / "replica.json").exists()

    def generations(self) -> dict[str, int]:
        """Of all that there are, by job."""
        found = {path.name: self.generation(path.name) for path in folders.visible(self._parent)}
        return {job: generation for job, generation in found.items() if generation is not None}

    def generation(self, job: str) -> int | None:
        """Whose turn it is to write; None if there is no replica."""
        return Fence(self.path(job)).generation if self.exists(job) else None

    def create(
        self, job: str, volumes: Sequence[VolumeSpec], generation: int, run: str, built_on: bool
    ) -> tuple[bytes, ...]:
        """See `compute.driver.Driver`; `built_on`: an image lies on the topmost layer."""
        self._parent.mkdir(parents=True, exist_ok=True)
        folders.sweep(self._parent)
        self._check_space(job, volumes)
        path = self.path(job)
        create(path, [VolumeShape(v.volume, v.size, v.chunk) for v in volumes])
        reach("replica.described")
        (path / DISCARDED).unlink(missing_ok=True)
        fence = Fence(path)
        fence.raise_to(generation)
        reach("replica.raised")
        with fence.exclusive():
            return _open_top(path, generation, run, built_on)

    def seal(self, job: str, run: str, roots: Sequence[bytes]) -> None:
        """Sealed first, as that makes the receiver let the layer go; then looked at."""
        self._check_exists(job)
        with open_replica(self.path(job)) as replica:
            replica.seal(run, roots)
            if not replica.layer.lowest and not all(
                _sound_once_let_go(replica.layer.data(shape.volume)) for shape in replica.shapes
            ):
                folders.remove(replica.layer.path)
                raise VolumeError(
                    f"what the run {run} wrote of {job} is damaged, and was thrown away",
                    "check memory and disks of this host, then start the job again: it is copied again",
                )

    def foundation(self, job: str) -> Foundation:
        """What to build an image on; VolumeError while it may still change."""
        self._check_exists(job)
        path = self.path(job)
        top = chain(path)[-1]
        if top.sealed is None:
            raise VolumeError(
                f"the replica of {job} is not sealed", "finish the copy before the image is made"
            )
        bases = (
            Base(shape.volume, top.data(shape.volume), top.form, shape.size) for shape in shapes_of(path)
        )
        return Foundation(top.sealed.run, tuple(bases))

    def discard(self, job: str) -> None:
        """Remembered durably, so that the last image's end takes the replica along."""
        if self.path(job).exists():
            write_file(self.path(job) / DISCARDED, b"")
            reach("discard.marked")

    def discarded(self, job: str) -> bool:
        return (self.path(job) / DISCARDED).exists()

    def remove(self, job: str) -> None:
        folders.remove(self.path(job))

    def _check_exists(self, job: str) -> None:
        if not self.exists(job):
            raise NotFoundError(f"there is no replica of {job}", "start the job: it makes one")

    def _check_space(self, job: str, volumes: Sequence[VolumeSpec]) -> None:
        """What an earlier attempt has written already needs no room."""
        needed = sum(self._missing(job, volume) for volume in volumes)
        room = room_at(self._parent)
        if needed > room.left:
            raise VolumeFullError(
                f"the replica of {job} needs {needed} bytes more, and {self._parent} has {room.free} free,"
                f" of which {room.kept} are kept for the control plane's own records",
                "make room on the file system that holds the data folder, then start the job again",
            )

    def _missing(self, job: str, volume: VolumeSpec) -> int:
        """What a later run writes nobody knows before: the receiver looks at the room batch by batch."""
        layers = chain(self.path(job))
        if layers and (len(layers) > 1 or layers[0].sealed is not None):
            return 0
        wanted = volume.size if volume.used is None else volume.used
        present = folders.allocated(layers[0].data(volume.volume)) if layers else 0
        return max(wanted - present, 0)


def _open_top(path: Path, generation: int, run: str, built_on: bool) -> tuple[bytes, ...]:
    """The topmost layer is one that the run may write; the roots of the sealed content in it or below it."""
    layers = chain(path)
    top, sealed = layers[-1], layers[-1].sealed
    if sealed is None:
        below = layers[-2].sealed if len(layers) > 1 else None
        return below.roots if below is not None else ()
    if sealed.generation == generation:
        if sealed.run != run:
            raise VolumeError(
                f"{top.path} was written by {sealed.run}, which the records do not know", EARLIER
            )
        return sealed.roots  # a late repetition
    if sealed.run == run and not built_on:
        top.reopen()
    else:
        extend(path, generation, _make_volume)
    return sealed.roots


def _make_volume(folder: Path, below: Layer, shape: VolumeShape) -> None:
    name = Layer(folder, lowest=False).data(shape.volume).name
    backing = Path("..", below.path.name, below.data(shape.volume).name)
    qemuimg.create_overlay(folder, name, str(backing), below.form, shape.size, options=qemuimg.FINE)


def _sound_once_let_go(path: Path) -> bool:
    """The receiver ends what writes a sealed layer within moments."""
    deadline = time.monotonic() + LET_GO
    while True:
        try:
            return qemuimg.is_sound(path)
        except VolumeInUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
