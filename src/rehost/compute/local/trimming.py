"""Keeping a job's images few and its chain of layers short."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from rehost.block.crashpoint import reach
from rehost.block.layer import Layer, chain
from rehost.compute.driver import Image, ImageDisk, ImageState, Trimmed
from rehost.compute.local import folders, merging, qemuimg
from rehost.compute.local.imagelock import in_use
from rehost.compute.local.images import Images
from rehost.core.errors import VolumeError, VolumeFullError, VolumeInUseError


def trim(replica: Path, images: Images, job: str, keep: int) -> Trimmed:
    """See `compute.driver.Driver.trim`; nobody else may change the chain meanwhile."""
    layers = chain(replica)
    if layers and layers[-1].sealed is None:
        return Trimmed((), f"the replica of {job} is being written")
    deleted, busy = _delete_oldest(layers, images, job, keep)
    reach("trim.deleted")
    return Trimmed(tuple(deleted), settle(replica, images, job) or busy)


def settle(replica: Path, images: Images, job: str) -> str:
    """Merge the layers that no image needs, all of them sealed; why not all, empty if all."""
    folders.sweep(replica / "layers")
    try:
        finish(replica, images, job)
        while pair := next(_superfluous(replica, images, job), None):
            _merge(replica, *pair, images, job)
    except (VolumeInUseError, VolumeFullError) as error:
        return str(error)
    return ""


def finish(replica: Path, images: Images, job: str) -> None:
    """End the merge that was cut off, if one was; VolumeInUseError while a program has a file of it open."""
    if pair := merging.pending(replica):
        _merge(replica, *pair, images, job)


def _merge(replica: Path, lower: Layer, upper: Layer, images: Images, job: str) -> None:
    for done in merging.merge(replica, lower, upper, overlays_on(upper, images, job)):
        reach(f"merge.{done.partition(' ')[0]}")


def cut(replica: Path, images: Images, job: str) -> None:
    """Nobody goes on with the replica: what lies above the topmost image goes."""
    for layer in reversed(chain(replica)):
        if overlays_on(layer, images, job):
            break
        folders.remove(layer.path)


def overlays_on(layer: Layer, images: Images, job: str) -> list[Path]:
    """The disks of images that lie on a layer's volumes."""
    return [disk.path for image in images.of_job(job) for disk in image.disks if lies_on(disk, layer)]


def layers_below(replica: Path, image: Image) -> tuple[Layer, ...]:
    """The layer that carries an image, and those below it, the lowest first; VolumeError if there is none."""
    layers = chain(replica)
    for place, layer in enumerate(layers, 1):
        if carries(layer, image):
            return layers[:place]
    raise VolumeError(
        f"what {image.id} is built on is not there: {qemuimg.backing_of(image.disks[0].path)}",
        "bring the folder back from a backup, or copy the source anew",
    )


def carries(layer: Layer, image: Image) -> bool:
    """Disks of the image lie on the layer's volumes."""
    return any(lies_on(disk, layer) for disk in image.disks)


def lies_on(disk: ImageDisk, layer: Layer) -> bool:
    """Asked of the file itself: a merge moves them one by one."""
    return qemuimg.backing_of(disk.path) == layer.data(disk.volume).resolve()


def _superfluous(replica: Path, images: Images, job: str) -> Iterator[tuple[Layer, Layer]]:
    """Sealed neighbours, of which no image needs the lower."""
    for lower, upper in pairwise(chain(replica)):
        if upper.sealed is not None and not overlays_on(lower, images, job):
            yield lower, upper


def _by_age(layers: Sequence[Layer], images: Iterable[Image]) -> list[Image]:
    """The oldest first, as their layers say it: the clock that gave them their dates may have gone back."""

    def place(image: Image) -> int:
        return max((place for place, layer in enumerate(layers) if carries(layer, image)), default=-1)

    return sorted(images, key=place)


def _delete_oldest(layers: Sequence[Layer], images: Images, job: str, keep: int) -> tuple[list[str], str]:
    """The ids of those that went, and what kept others; the newest always stays."""
    ready = (image for image in images.of_job(job) if image.state is ImageState.READY)
    finished = _by_age(layers, ready)
    excess, deleted, busy = len(finished) - keep, list[str](), ""
    for image in finished[:-1]:
        if len(deleted) >= excess:
            return deleted, ""
        if any(in_use(disk.path) for disk in image.disks):
            busy = f"the image {image.id} is in use"
        else:
            images.delete(image.id)
            deleted.append(image.id)
    return deleted, busy if len(deleted) < excess else ""
