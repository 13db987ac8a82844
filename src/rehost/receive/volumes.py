"""Opening the volumes of a replica's topmost layer to write them: files, or qcow2 through QEMU's own code."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rehost.block.layer import Layer
from rehost.block.nbd import connect
from rehost.block.volume import VolumeShape
from rehost.block.writer import Devices, raw_devices
from rehost.core.errors import MachineError, VolumeError
from rehost.machine.storage_daemon import DiskImage, StorageDaemon


@contextmanager
def devices(layer: Layer, shapes: Sequence[VolumeShape]) -> Iterator[Devices]:
    """A device for each volume, as long as this is held; VolumeError if that is not possible."""
    with raw_devices(layer, shapes) if layer.lowest else _exported(layer, shapes) as opened:
        yield opened


@contextmanager
def _exported(layer: Layer, shapes: Sequence[VolumeShape]) -> Iterator[Devices]:
    """One storage daemon for all volumes of the layer; it has let them go when this ends."""
    images = [DiskImage(_name(shape), layer.data(shape.volume), layer.form) for shape in shapes]
    with ExitStack() as opened:
        try:
            daemon = opened.enter_context(StorageDaemon(images))
        except MachineError as error:
            raise VolumeError(error.what, error.advice) from error
        found = {}
        for shape in shapes:
            found[shape.volume] = connect(daemon.socket, _name(shape))
            opened.callback(found[shape.volume].close)
        yield found


def _name(shape: VolumeShape) -> str:
    return f"disk-{shape.volume}"
