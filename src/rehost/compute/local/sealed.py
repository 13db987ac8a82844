"""A sealed run as it lies on this host: content, digests and roots that vouch for each other. Read only."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.block.device import Device
from rehost.block.digests import ChunkDigests
from rehost.block.file import open_source
from rehost.block.filters import Padded
from rehost.block.journal import Journal
from rehost.block.layer import Layer, Sealed
from rehost.block.nbd import connect
from rehost.block.replica import shapes_of
from rehost.block.volume import VolumeShape
from rehost.compute.local import qemuimg
from rehost.core.errors import VolumeError
from rehost.core.extent import Extents
from rehost.machine.storage_daemon import DiskImage, StorageDaemon


@dataclass(frozen=True, slots=True)
class SealedVolume:
    shape: VolumeShape
    root: bytes  # as the seal has it
    layers: tuple[Layer, ...]  # the lowest first; the last one is the run's own

    @property
    def data(self) -> Path:
        return self.layers[-1].data(self.shape.volume)

    @property
    def journal(self) -> Path:
        return self.layers[-1].journal(self.shape.volume)

    @contextmanager
    def content(self) -> Iterator[Device]:
        """The volume as the run left it. Disks are read, not what memory still has of them."""
        for layer in self.layers:
            _forget_cached(layer.data(self.shape.volume))
        with _raw(self.data) if self.layers[-1].lowest else _exported(self.data) as device:
            yield device

    def extents(self) -> Extents:
        """Where the content may be other than zeroes; merged."""
        return qemuimg.content_extents(self.data, self.layers[-1].form)

    @contextmanager
    def digests(self) -> Iterator[ChunkDigests]:
        """Through the journals of all layers; what is missing of a file that is too short is ABSENT."""
        journal: Journal | None = None
        with ExitStack() as opened:
            for layer in self.layers:
                file = open_source(layer.journal(self.shape.volume), direct=False)
                opened.callback(file.close)
                journal = Journal(Padded(file, self.shape.journal_size), journal)
            assert journal is not None
            yield journal


@dataclass(frozen=True, slots=True)
class SealedRun:
    generation: int
    volumes: tuple[SealedVolume, ...]


def sealed_run(replica: Path, layers: Sequence[Layer], run: str = "") -> SealedRun:
    """The run that wrote the last of these layers, read over the others.

    VolumeError if that layer has no seal, none that can be read, or that of another run than `run`.
    """
    seal = _seal_of(layers[-1])
    if run and seal.run != run:
        raise VolumeError(
            f"{layers[-1].path} is of the run {seal.run}, and its image of the run {run}",
            "replicas and images of different times were brought together: bring back both of one time",
        )
    volumes = zip(shapes_of(replica), seal.roots, strict=True)
    return SealedRun(
        seal.generation, tuple(SealedVolume(shape, root, tuple(layers)) for shape, root in volumes)
    )


def _seal_of(layer: Layer) -> Sealed:
    try:
        seal = layer.sealed
    except (OSError, ValueError, LookupError) as error:
        raise VolumeError(
            f"the seal of {layer.path} cannot be read: {error}",
            "its images cannot be verified: copy the source anew",
        ) from error
    if seal is None:
        raise VolumeError(
            f"{layer.path} is not sealed: it is being written", "wait until its job has finished, then repeat"
        )
    return seal


def _forget_cached(path: Path) -> None:
    file = open_source(path, direct=False)
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    file.close()


@contextmanager
def _raw(path: Path) -> Iterator[Device]:
    device = open_source(path, direct=False)
    try:
        yield device
    finally:
        device.close()


@contextmanager
def _exported(path: Path) -> Iterator[Device]:
    """A qcow2 file over those below it. QEMU's locks keep merges from writing any of them meanwhile."""
    with StorageDaemon([DiskImage(path.name, path, "qcow2", writable=False)]) as daemon:
        device = connect(daemon.socket, path.name)
        try:
            yield device
        finally:
            device.close()
