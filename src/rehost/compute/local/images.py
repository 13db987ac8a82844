"""Images: a folder each, with overlays on a sealed layer and image.json."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from rehost.block.crashpoint import reach
from rehost.block.durable import write_file
from rehost.compute.driver import Image, ImageDisk, ImageState, mac_of
from rehost.compute.local import folders, qemuimg
from rehost.core.errors import NotFoundError, VolumeError

RECORD = "image.json"
REPORT = "report.json"
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Base:
    """A sealed volume that an overlay is put on."""

    volume: int
    path: Path
    form: str  # raw or qcow2
    size: int


@dataclass(frozen=True, slots=True)
class Foundation:
    """A sealed layer, for an image to stand on."""

    run: str  # that wrote it
    bases: tuple[Base, ...]


@dataclass(frozen=True, slots=True)
class _DiskRecord:
    volume: int
    file: str  # a name in the image's folder: the data folder can be moved
    size: int
    source_size: int


@dataclass(frozen=True, slots=True)
class _Record:
    """image.json."""

    id: str
    job: str
    name: str
    description: str
    region: str
    mac: str
    state: ImageState
    created: float
    disks: tuple[_DiskRecord, ...]
    error: str = ""
    run: str = ""


class Images:
    """The folder `images` of a data folder."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    def create(self, record: Image, bases: Sequence[Base], sizes: Mapping[int, int]) -> Image:
        """An image in building, with fresh overlays; an earlier one of this id is gone."""
        folders.sweep(self._parent)
        building = folders.begin(record.folder)
        disks = tuple(self._overlay(building, base, sizes.get(base.volume, 0)) for base in bases)
        image = replace(record, disks=disks)
        (building / RECORD).write_bytes(_encode(image))
        reach("image.built")
        folders.publish(building, record.folder)
        reach("image.placed")
        return self.get(record.id)

    def describe(self, image_id: str, job: str, run: str, name: str, description: str, region: str) -> Image:
        """The image that `create` is to make, still without disks."""
        return Image(
            id=image_id,
            job=job,
            run=run,
            name=name,
            description=description,
            region=region,
            mac=mac_of(image_id),
            state=ImageState.BUILDING,
            created=time.time(),
            disks=(),
            folder=self._folder(image_id),
        )

    def all(self) -> tuple[Image, ...]:
        found = (self._still(folder) for folder in folders.visible(self._parent))
        there = (image for image in found if image is not None)
        return tuple(sorted(there, key=lambda image: (image.created, image.id)))

    def of_job(self, job: str) -> tuple[Image, ...]:
        return tuple(image for image in self.all() if image.job == job)

    def exists(self, image_id: str) -> bool:
        return (self._folder(image_id) / RECORD).exists()

    def get(self, image_id: str) -> Image:
        if not self.exists(image_id):
            raise NotFoundError(f"there is no image {image_id}", "see the ids in: rehost image list")
        return _load(self._folder(image_id))

    def change(self, image_id: str, state: ImageState, error: str = "") -> Image:
        """The image has this state after any crash, or its old one."""
        image = replace(self.get(image_id), state=state, error=error)
        write_file(image.folder / RECORD, _encode(image))
        return image

    def record_conversion(self, image_id: str, report: object) -> None:
        text = msgspec.json.format(msgspec.json.encode(report, enc_hook=str), indent=2)
        write_file(self.get(image_id).folder / REPORT, text)

    def conversion(self, image_id: str) -> dict[str, Any] | None:
        """What was recorded; None before there was a conversion."""
        file = self.get(image_id).folder / REPORT
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) if file.exists() else None

    def delete(self, image_id: str) -> None:
        folders.remove(self._folder(image_id))

    def _still(self, folder: Path) -> Image | None:
        """None: it was deleted since its folder was seen, by another job's step or another host."""
        try:
            return _load(folder)
        except VolumeError:
            if folder.exists():
                raise
            return None

    def _folder(self, image_id: str) -> Path:
        if "/" in image_id or image_id.startswith(".") or not image_id:
            raise NotFoundError(f"{image_id!r} is not an image's id", "see the ids in: rehost image list")
        return self._parent / image_id

    def _overlay(self, building: Path, base: Base, asked: int) -> ImageDisk:
        """The backing path is relative, and right in the building folder as well: both are in `images`."""
        size = max(base.size, -(-asked // SECTOR) * SECTOR)
        name = f"disk-{base.volume}.qcow2"
        backing = Path("..", "..", base.path.relative_to(self._parent.parent))
        path = qemuimg.create_overlay(building, name, str(backing), base.form, size)
        return ImageDisk(base.volume, path, size, base.size)


def _encode(image: Image) -> bytes:
    record = _Record(
        disks=tuple(_DiskRecord(d.volume, d.path.name, d.size, d.source_size) for d in image.disks),
        **{name: getattr(image, name) for name in _Record.__dataclass_fields__ if name != "disks"},
    )
    return msgspec.json.format(msgspec.json.encode(record), indent=2)


def _load(folder: Path) -> Image:
    file = folder / RECORD
    try:
        record = msgspec.json.decode(file.read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError) as error:
        raise VolumeError(
            f"the image {folder.name} cannot be read: {file}: {error}",
            "move its folder away if the image is not needed",
        ) from error
    disks = tuple(ImageDisk(d.volume, folder / d.file, d.size, d.source_size) for d in record.disks)
    kept = {name: getattr(record, name) for name in _Record.__dataclass_fields__ if name != "disks"}
    return Image(folder=folder, disks=disks, **kept)
