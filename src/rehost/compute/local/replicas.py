"""Replicas: a folder per job in `replicas`, made for the receiver to write to."""

from collections.abc import Sequence
from pathlib import Path

from rehost.block.durable import write_file
from rehost.block.replica import create, open_replica
from rehost.block.room import room_at
from rehost.block.volume import VolumeShape
from rehost.compute.driver import VolumeSpec
from rehost.compute.local import folders
from rehost.compute.local.images import Base
from rehost.core.errors import NotFoundError, VolumeError, VolumeFullError

DISCARDED = "discarded"  # a file that says that the job needs its replica no more
_BLOCK = 512  # what st_blocks counts


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

    def generation(self, job: str) -> int | None:
        """Whose turn it is to write; None if there is no replica."""
        if not self.exists(job):
            return None
        with open_replica(self.path(job)) as replica:
            return replica.generation

    def create(self, job: str, volumes: Sequence[VolumeSpec], generation: int) -> None:
        """There is one for writers of this generation only; what is durable in it stays."""
        self._parent.mkdir(parents=True, exist_ok=True)
        folders.sweep(self._parent)
        self._check_space(job, volumes)
        create(self.path(job), [VolumeShape(v.volume, v.size, v.chunk) for v in volumes])
        (self.path(job) / DISCARDED).unlink(missing_ok=True)
        with open_replica(self.path(job)) as replica:
            replica.raise_generation(generation)

    def seal(self, job: str, roots: Sequence[bytes]) -> None:
        self._check_exists(job)
        with open_replica(self.path(job)) as replica:
            replica.seal(roots)

    def bases(self, job: str) -> tuple[Base, ...]:
        """The volumes to build an image on, in order; VolumeError while they may still change."""
        self._check_exists(job)
        with open_replica(self.path(job)) as replica:
            if replica.sealed is None:
                raise VolumeError(
                    f"the replica of {job} is not sealed", "finish the copy before the image is made"
                )
            return tuple(
                Base(shape.volume, shape.data_path(replica.path), shape.size) for shape in replica.shapes
            )

    def discard(self, job: str) -> None:
        """Remembered durably, so that the last image's end takes the replica along."""
        if self.path(job).exists():
            write_file(self.path(job) / DISCARDED, b"")

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
        wanted = volume.size if volume.used is None else volume.used
        data = VolumeShape(volume.volume, volume.size, volume.chunk).data_path(self.path(job))
        present = data.stat().st_blocks * _BLOCK if data.exists() else 0
        return max(wanted - present, 0)
