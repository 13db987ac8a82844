"""The local driver: the folders `replicas` and `images` of one data folder, and QEMU on this host.

replicas/<job>/disk-<n>.raw ...          written by the receiver, sealed at the end of the copy
images/<id>/disk-<n>.qcow2 image.json    overlays, with the way to the replica relative: data can be moved
images/<id>/report.json boot/            what the conversion changed, what the boot check saw
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rehost.compute.driver import (
    BOOT_DEADLINE,
    BootEvidence,
    ExportFormat,
    ExportProgress,
    Image,
    ImageState,
    VolumeSpec,
)
from rehost.compute.local import bootcheck, export, folders
from rehost.compute.local.images import Images
from rehost.compute.local.replicas import Replicas
from rehost.compute.local.sealed import SealedRun, sealed_run
from rehost.core.errors import VolumeError


class LocalDriver:
    """See `compute.driver.Driver`. Nothing is kept in memory: any process may go on where another died."""

    def __init__(self, data: Path) -> None:
        self._replicas = Replicas(data / "replicas")
        self._images = Images(data / "images")
        self._cache = data / "cache"

    def create_replica(self, job: str, volumes: Sequence[VolumeSpec], generation: int) -> None:
        present = self._replicas.generation(job)
        if present is not None and generation > present:
            self._forget_images_of(job)
        self._replicas.create(job, volumes, generation)

    def replica_path(self, job: str) -> Path:
        return self._replicas.path(job)

    def has_replica(self, job: str) -> bool:
        return self._replicas.exists(job)

    def seal(self, job: str, roots: Sequence[bytes]) -> None:
        self._replicas.seal(job, roots)

    def discard_replica(self, job: str) -> None:
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
        bases = self._replicas.bases(job)
        record = self._images.describe(image_id, job, name, description, region)
        image = self._images.create(record, bases, sizes or {})
        return tuple(disk.path for disk in image.disks)

    def sealed_run(self, image_id: str) -> SealedRun:
        """What an image is built on; VolumeError if that is not sealed (any more)."""
        return sealed_run(self._replicas.path(self._images.get(image_id).job))

    def record_conversion(self, image_id: str, report: object) -> None:
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
        for disk in self._images.get(image_id).disks:
            folders.sync(disk.path)  # ready means that it is so after a power cut
        return self._images.change(image_id, ImageState.READY)

    def fail_image(self, image_id: str, why: str) -> None:
        if self._images.exists(image_id):
            self._images.change(image_id, ImageState.FAILED, why)

    def images(self) -> tuple[Image, ...]:
        return self._images.all()

    def image(self, image_id: str) -> Image:
        return self._images.get(image_id)

    def delete_image(self, image_id: str) -> None:
        job = self._images.get(image_id).job if self._images.exists(image_id) else None
        self._images.delete(image_id)
        if job is not None:
            self._collect(job)

    def export_image(
        self,
        image_id: str,
        form: ExportFormat,
        destination: Path,
        progress: ExportProgress | None = None,
    ) -> tuple[Path, ...]:
        return export.export(self._images.get(image_id), form, destination, progress)

    def _forget_images_of(self, job: str) -> None:
        """Before a newer generation writes: what was built on the old content is no image of it."""
        images = self._images.of_job(job)
        for image in images:
            if image.state is ImageState.READY:
                raise VolumeError(
                    f"the replica of {job} cannot be written: the image {image.id} is built on it",
                    "delete the image, or create another job for the next copy",
                )
        for image in images:
            self._images.delete(image.id)

    def _collect(self, job: str) -> None:
        """A discarded replica goes with the last image that needs it; looked up, not counted."""
        if self._replicas.discarded(job) and not self._images.of_job(job):
            self._replicas.remove(job)
