"""A driver that remembers everything and does nothing: for tests of what steers drivers.

Paths lie below the folder that it is given; nothing is ever written there but exports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from rehost.compute.driver import (
    BOOT_DEADLINE,
    SERVICE_ROLE,
    BootEvidence,
    BootVerdict,
    CommandResult,
    ExportFormat,
    ExportProgress,
    Image,
    ImageDisk,
    ImageState,
    Space,
    Trimmed,
    VolumeSpec,
    mac_of,
)
from rehost.core.errors import BootCheckError, NotFoundError, VolumeError, VolumeFullError


@dataclass(slots=True)
class _Layer:
    run: str = ""
    generation: int = 0
    roots: tuple[bytes, ...] | None = None  # None: it is not sealed


@dataclass(slots=True)
class _Replica:
    volumes: tuple[VolumeSpec, ...]
    generation: int
    layers: list[_Layer] = field(default_factory=lambda: [_Layer()])
    discarded: bool = False


@dataclass(slots=True)
class MemoryDriver:
    """`room` is in bytes; `verdict` is what boot checks find, `exit_code` what their commands end with.

    `failures[name]` is raised, once, by the next call of the method of that name.
    """

    root: Path
    room: int = 1 << 40
    verdict: BootVerdict = field(default_factory=lambda: BootVerdict(True, "ok"))
    exit_code: int = 0
    busy: set[str] = field(default_factory=set)  # images that somebody uses
    failures: dict[str, Exception] = field(default_factory=dict)
    roles: frozenset[str] | None = None
    reports: dict[str, object] = field(default_factory=dict)
    _evidence: dict[str, BootEvidence] = field(default_factory=dict)
    _replicas: dict[str, _Replica] = field(default_factory=dict)
    _images: dict[str, Image] = field(default_factory=dict)

    def create_replica(
        self, job: str, volumes: Sequence[VolumeSpec], generation: int, run: str
    ) -> tuple[bytes, ...]:
        self._fail("create_replica")
        present = self._replicas.get(job)
        if present is None:
            self._check_room(job, volumes)
            self._replicas[job] = _Replica(tuple(volumes), generation)
            return ()
        if _shape(present.volumes) != _shape(volumes):
            raise VolumeError(
                f"the replica of {job} has other volumes", "delete the job and create a new one"
            )
        if generation > present.generation:
            self._forget_unfinished(job)
        present.generation = max(present.generation, generation)
        present.discarded = False
        return self._open_top(job, present, run)

    def replica_path(self, job: str) -> Path:
        return self.root / "replicas" / job

    def generations(self) -> dict[str, int]:
        return {job: replica.generation for job, replica in self._replicas.items()}

    def has_replica(self, job: str) -> bool:
        return job in self._replicas

    def layers(self, job: str) -> int:
        """How many the replica has."""
        return len(self._replica(job).layers)

    def seal(self, job: str, run: str, roots: Sequence[bytes]) -> None:
        self._fail("seal")
        replica = self._replica(job)
        if len(roots) != len(replica.volumes):
            raise VolumeError(
                f"{len(roots)} roots for {len(replica.volumes)} volumes of the replica of {job}"
            )
        replica.layers[-1] = _Layer(run, replica.generation, tuple(roots))

    def discard_replica(self, job: str) -> None:
        self._fail("discard_replica")
        if job in self._replicas:
            self._replicas[job].discarded = True
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
        self._fail("create_image")
        replica = self._replica(job)
        layer = replica.layers[-1]
        if layer.roots is None:
            raise VolumeError(f"the replica of {job} is not sealed", "finish the copy first")
        folder = self.root / "images" / image_id
        disks = tuple(
            ImageDisk(
                v.volume,
                folder / f"disk-{v.volume}.qcow2",
                max(v.size, (sizes or {}).get(v.volume, 0)),
                v.size,
            )
            for v in replica.volumes
        )
        created = float(len(self._images))
        self._images[image_id] = Image(
            image_id,
            job,
            layer.run,
            name,
            description,
            region,
            mac_of(image_id),
            ImageState.BUILDING,
            created,
            disks,
            folder,
        )
        return tuple(disk.path for disk in disks)

    def record_conversion(self, image_id: str, report: object) -> None:
        self._fail("record_conversion")
        self.reports[self.image(image_id).id] = report

    def conversion(self, image_id: str) -> dict[str, Any] | None:
        report = self.reports.get(self.image(image_id).id)
        return None if report is None else dict(msgspec.to_builtins(report, enc_hook=str))

    def boot_check(
        self, image_id: str, *, command: str = "", deadline: float = BOOT_DEADLINE
    ) -> BootEvidence:
        self._fail("boot_check")
        image = self.image(image_id)
        result = CommandResult(command, self.exit_code, "") if command else None
        if not self.verdict.ok or (result and result.exit_code):
            what = f"the image {image.id} failed its boot check: {self.verdict.verdict}"
            self.fail_image(image_id, what)
            raise BootCheckError(what, "see its serial log")
        self._evidence[image_id] = BootEvidence(self.verdict, 0.0, "none", command=result)
        return self._evidence[image_id]

    def boot_evidence(self, image_id: str) -> BootEvidence | None:
        return self._evidence.get(self.image(image_id).id)

    def finish_image(self, image_id: str) -> Image:
        self._fail("finish_image")
        self._images[image_id] = replace(self.image(image_id), state=ImageState.READY, error="")
        return self._images[image_id]

    def fail_image(self, image_id: str, why: str) -> None:
        if image_id in self._images:
            self._images[image_id] = replace(self._images[image_id], state=ImageState.FAILED, error=why)

    def instance_roles(self) -> frozenset[str] | None:
        return self.roles

    def service_role(self) -> str | None:
        return None if self.roles is None else SERVICE_ROLE

    def images(self) -> tuple[Image, ...]:
        return tuple(self._images.values())

    def image(self, image_id: str) -> Image:
        if image_id not in self._images:
            raise NotFoundError(f"there is no image {image_id}")
        return self._images[image_id]

    def delete_image(self, image_id: str) -> None:
        self._fail("delete_image")
        image = self._images.pop(image_id, None)
        if image is not None:
            self._collect(image.job)

    def trim(self, job: str, keep: int) -> Trimmed:
        self._fail("trim")
        if job not in self._replicas or self._replicas[job].layers[-1].roots is None:
            return Trimmed((), f"the replica of {job} is being written")
        finished = [i for i in self._images.values() if i.job == job and i.state is ImageState.READY]
        free = [image.id for image in finished[:-1] if image.id not in self.busy]
        excess = max(len(finished) - keep, 0)
        for image_id in free[:excess]:
            del self._images[image_id]
        self._merge(job)
        return Trimmed(tuple(free[:excess]), "images are in use" if len(free) < excess else "")

    def space(self, image_id: str) -> Space:
        self.image(image_id)
        return Space(0, 0)

    def export_image(
        self,
        image_id: str,
        form: ExportFormat,
        destination: Path,
        progress: ExportProgress | None = None,
    ) -> tuple[Path, ...]:
        """Files of the right length (without VHD's and VMDK's own structure) and nothing in them."""
        image = self.image(image_id)
        if image.state is ImageState.BUILDING:
            raise VolumeError(f"the image {image_id} is still being built")
        destination.mkdir(parents=True, exist_ok=True)
        targets = tuple(destination / f"{image_id}-disk-{disk.volume}.{form}" for disk in image.disks)
        for disk, target in zip(image.disks, targets, strict=True):
            with target.open("wb") as file:
                file.truncate(disk.size)
            if progress is not None:
                progress(disk.volume, 100.0)
        return targets

    def _replica(self, job: str) -> _Replica:
        if job not in self._replicas:
            raise NotFoundError(f"there is no replica of {job}")
        return self._replicas[job]

    def _forget_unfinished(self, job: str) -> None:
        """A newer generation writes again: what was built on the old content is no image of anything."""
        for image in [image for image in self._images.values() if image.job == job]:
            if image.state is not ImageState.READY:
                del self._images[image.id]

    def _open_top(self, job: str, replica: _Replica, run: str) -> tuple[bytes, ...]:
        *lower, top = replica.layers
        if top.roots is None:
            return (lower[-1].roots or ()) if lower else ()
        roots = top.roots
        if top.generation == replica.generation:
            return roots
        if top.run == run and run not in {i.run for i in self._images.values() if i.job == job}:
            top.roots = None
        else:
            replica.layers.append(_Layer())
        return roots

    def _merge(self, job: str) -> None:
        *lower, top = self._replicas[job].layers
        needed = {image.run for image in self._images.values() if image.job == job}
        self._replicas[job].layers = [*(layer for layer in lower if layer.run in needed), top]

    def _check_room(self, job: str, volumes: Sequence[VolumeSpec]) -> None:
        needed = sum(v.size if v.used is None else v.used for v in volumes)
        if needed > self.room:
            raise VolumeFullError(f"the replica of {job} needs {needed} bytes, and {self.room} are free")

    def _collect(self, job: str) -> None:
        replica = self._replicas.get(job)
        if replica and replica.discarded and not any(i.job == job for i in self._images.values()):
            del self._replicas[job]

    def _fail(self, name: str) -> None:
        if (error := self.failures.pop(name, None)) is not None:
            raise error


def _shape(volumes: Sequence[VolumeSpec]) -> list[tuple[int, int, int]]:
    return [(v.volume, v.size, v.chunk) for v in volumes]
