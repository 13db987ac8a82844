"""The local driver: the folders `replicas` and `images` of one data folder, and QEMU on this host.

replicas/<job>/layers/<number>/ ...      written by the receiver, sealed at the end of the copy
images/<id>/disk-<n>.qcow2 image.json    overlays, with the way to the replica relative: data can be moved
images/<id>/report.json boot/            what the conversion changed, what the boot check saw
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rehost.block.crashpoint import reach
from rehost.block.durable import sync_file
from rehost.block.layer import chain
from rehost.compute.driver import (
    BOOT_DEADLINE,
    BootEvidence,
    ExportFormat,
    ExportProgress,
    Image,
    ImageState,
    Space,
    Trimmed,
    VolumeSpec,
)
from rehost.compute.local import bootcheck, copying, export, folders, trimming
from rehost.compute.local.images import Images
from rehost.compute.local.replicas import Replicas
from rehost.compute.local.sealed import SealedRun, sealed_run


class LocalDriver:
    """See `compute.driver.Driver`. Nothing is kept in memory: any process may go on where another died."""

    def __init__(self, data: Path, volumes: Path | None = None) -> None:
        """`volumes`: where replicas and images are, if not in the data folder."""
        self._replicas = Replicas((volumes or data) / "replicas")
        self._images = Images((volumes or data) / "images")
        self._cache = data / "cache"

    def create_replica(
        self, job: str, volumes: Sequence[VolumeSpec], generation: int, run: str
    ) -> tuple[bytes, ...]:
        with self._alone(job):
            present = self._replicas.generation(job)
            if present is not None and generation > present:
                self._forget_unfinished(job)
            top = chain(self._replicas.path(job))[-1:]
            built_on = any(trimming.overlays_on(layer, self._images, job) for layer in top)
            return self._replicas.create(job, volumes, generation, run, built_on)

    def replica_path(self, job: str) -> Path:
        return self._replicas.path(job)

    def has_replica(self, job: str) -> bool:
        return self._replicas.exists(job)

    def generations(self) -> dict[str, int]:
        return self._replicas.generations()

    def seal(self, job: str, run: str, roots: Sequence[bytes]) -> None:
        with self._alone(job):
            self._replicas.seal(job, run, roots)

    def discard_replica(self, job: str) -> None:
        with self._alone(job):
            self._replicas.discard(job)
            self._collect(job)

    def create_image(
        self,
        image_id: str,
        job: str,
        name: str,
        *,
        description: str = "",
        region: str = "",
        sizes: Mapping[int, int] | None = None,
    ) -> tuple[Path, ...]:
        with self._alone(job):
            foundation = self._replicas.foundation(job)
            record = self._images.describe(image_id, job, foundation.run, name, description, region)
            image = self._images.create(record, foundation.bases, sizes or {})
        return tuple(disk.path for disk in image.disks)

    def sealed_run(self, image_id: str) -> SealedRun:
        """The run that an image is built on; VolumeError if that is not sealed (any more), or another run.

        A merge that was cut off is finished before: till then the image may lie on two layers.
        """
        image = self._images.get(image_id)
        path = self._replicas.path(image.job)
        with self._alone(image.job):
            trimming.finish(path, self._images, image.job)
            return sealed_run(path, trimming.layers_below(path, image), image.run)

    def back_up(self, job: str, target: Path) -> tuple[str, ...]:
        """Copy what is sealed of a job's replica, and the finished images on it, into another data folder;
        the images' ids. What is being written is left out, and what the job does to its layers waits."""
        with self._alone(job):
            trimming.finish(self._replicas.path(job), self._images, job)
            images = [image for image in self._images.of_job(job) if image.state is ImageState.READY]
            if not copying.copy_sealed(self._replicas.path(job), target / "replicas" / job):
                return ()
            for image in images:
                copying.copy_folder(image.folder, target / "images" / image.id)
        return tuple(image.id for image in images)

    def record_conversion(self, image_id: str, report: object) -> None:
        """The helper VM syncs nothing: what it wrote is durable before anything says that it was written."""
        for disk in self._images.get(image_id).disks:
            sync_file(disk.path)
        reach("build.synced")
        self._images.record_conversion(image_id, report)

    def conversion(self, image_id: str) -> dict[str, Any] | None:
        return self._images.conversion(image_id)

    def boot_check(
        self, image_id: str, *, command: str = "", deadline: float = BOOT_DEADLINE
    ) -> BootEvidence:
        outcome = bootcheck.boot_check(self._images.get(image_id), self._cache, command, deadline)
        if outcome.error is not None:
            self.fail_image(image_id, str(outcome.error))
            raise outcome.error
        return outcome.evidence

    def boot_evidence(self, image_id: str) -> BootEvidence | None:
        return bootcheck.evidence_of(self._images.get(image_id))

    def finish_image(self, image_id: str) -> Image:
        image = self._images.change(image_id, ImageState.READY)
        reach("finish.ready")
        return image

    def fail_image(self, image_id: str, why: str) -> None:
        if self._images.exists(image_id):
            self._images.change(image_id, ImageState.FAILED, why)

    def instance_roles(self) -> frozenset[str] | None:
        return None  # QEMU on this host knows no roles

    def service_role(self) -> str | None:
        return None  # files and processes of this host are its user's

    def images(self) -> tuple[Image, ...]:
        return self._images.all()

    def image(self, image_id: str) -> Image:
        return self._images.get(image_id)

    def delete_image(self, image_id: str) -> None:
        if not self._images.exists(image_id):
            self._images.delete(image_id)  # what a call that died has left of it
            return
        job = self._images.get(image_id).job
        with self._alone(job):
            self._images.delete(image_id)
            self._collect(job)

    def trim(self, job: str, keep: int) -> Trimmed:
        with self._alone(job):
            return trimming.trim(self._replicas.path(job), self._images, job, keep)

    def space(self, image_id: str) -> Space:
        image = self._images.get(image_id)
        layers = chain(self._replicas.path(image.job))
        below = [file for layer in layers if trimming.carries(layer, image) for file in layer.path.glob("*")]
        own = [disk.path for disk in image.disks]
        return Space(sum(map(folders.allocated, below)), sum(map(folders.allocated, own)))

    def export_image(
        self,
        image_id: str,
        form: ExportFormat,
        destination: Path,
        progress: ExportProgress | None = None,
    ) -> tuple[Path, ...]:
        return export.export(self._images.get(image_id), form, destination, progress)

    def _alone(self, job: str) -> AbstractContextManager[None]:
        """The job's chain of layers changes by one hand at a time, of whatever process."""
        return folders.alone(self._replicas.path(job))

    def _forget_unfinished(self, job: str) -> None:
        """Before a newer generation writes: what was built on the old content is no image of it."""
        for image in self._images.of_job(job):
            if image.state is not ImageState.READY:
                self._images.delete(image.id)

    def _collect(self, job: str) -> None:
        """What only a discarded replica's images need stays with them; looked up, not counted."""
        path = self._replicas.path(job)
        if not path.exists():
            self._replicas.remove(job)  # what a removal that was cut off has left
        elif not self._replicas.discarded(job):
            return
        elif self._images.of_job(job):
            trimming.cut(path, self._images, job)
            trimming.settle(path, self._images, job)
        else:
            self._replicas.remove(job)
