"""Flattening an image to self-contained files for other places."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.block.durable import sync_file, sync_folder
from rehost.compute.driver import ExportFormat, ExportProgress, Image, ImageState
from rehost.compute.local import folders, qemuimg
from rehost.core.errors import VolumeError, VolumeFullError

# What qemu-img is told for each format. VHD: without force_size its driver would round the size up to a
# cylinder of the old geometry, and places that import compare sizes. VMDK: the stream form is what OVF has.
_ARGUMENTS: dict[ExportFormat, tuple[str, ...]] = {
    ExportFormat.QCOW2: ("-O", "qcow2"),
    ExportFormat.RAW: ("-O", "raw"),
    ExportFormat.VHD: ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"),
    ExportFormat.VMDK: ("-O", "vmdk", "-o", "subformat=streamOptimized"),
}


def export(
    image: Image, form: ExportFormat, destination: Path, progress: ExportProgress | None = None
) -> tuple[Path, ...]:
    """`<image id>-disk-<n>.<format>` per disk; each is there whole or not at all, older ones are replaced."""
    if image.state is ImageState.BUILDING:
        raise VolumeError(f"the image {image.id} is still being built", "wait until its job has finished")
    destination.mkdir(parents=True, exist_ok=True)
    _check_space(image, destination)
    tell = progress or (lambda volume, percent: None)
    return tuple(
        _export_disk(
            disk.path, destination / f"{image.id}-disk-{disk.volume}.{form}", form, disk.volume, tell
        )
        for disk in image.disks
    )


def _export_disk(
    source: Path, target: Path, form: ExportFormat, volume: int, progress: ExportProgress
) -> Path:
    with _partial(target) as partial:
        qemuimg.convert(source, "qcow2", partial, _ARGUMENTS[form], lambda percent: progress(volume, percent))
        sync_file(partial)
        partial.replace(target)
    sync_folder(target.parent)
    return target


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A name beside the target that is not left behind; after kill -9 the next export takes it over."""
    partial = target.with_name(f".{target.name}.part")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _check_space(image: Image, destination: Path) -> None:
    needed = sum(qemuimg.needed(disk.path, "qcow2") for disk in image.disks)
    free = folders.free_bytes(destination)
    if needed > free:
        raise VolumeFullError(
            f"{destination} has {free} bytes free, and the image {image.id} needs {needed}",
            "export to a folder on a larger file system",
        )
