"""A sealed run as it lies on this host: content, digests and roots that vouch for each other. Read only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.block.device import Device
from rehost.block.digests import ChunkDigests
from rehost.block.fence import Fence
from rehost.block.file import FileDevice, open_source
from rehost.block.journal import Journal
from rehost.block.replica import shapes_of
from rehost.block.volume import VolumeShape
from rehost.compute.local import qemuimg
from rehost.core.digest import ABSENT
from rehost.core.errors import VolumeError
from rehost.core.extent import Extent


@dataclass(frozen=True, slots=True)
class SealedVolume:
    shape: VolumeShape
    root: bytes  # as the seal has it
    data: Path
    form: str  # of `data`, as QEMU calls it
    journal: Path

    @contextmanager
    def content(self) -> Iterator[Device]:
        """The volume as the run left it. The disk is read, not what memory still has of it."""
        device = open_source(self.data, direct=False)
        try:
            os.posix_fadvise(device.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            yield device
        finally:
            device.close()

    def extents(self) -> list[Extent]:
        """Where the content may be other than zeroes; merged."""
        return qemuimg.content_extents(self.data, self.form)

    @contextmanager
    def digests(self) -> Iterator[ChunkDigests]:
        device = open_source(self.journal, direct=False)
        try:
            yield _Entries(device)
        finally:
            device.close()


@dataclass(frozen=True, slots=True)
class SealedRun:
    generation: int
    volumes: tuple[SealedVolume, ...]


def sealed_run(replica: Path) -> SealedRun:
    """VolumeError if there is no seal, or none that can be read."""
    try:
        seal = Fence(replica).sealed
    except (OSError, ValueError, LookupError) as error:
        raise VolumeError(
            f"the seal of {replica} cannot be read: {error}", "its images cannot be verified: copy anew"
        ) from error
    if seal is None:
        raise VolumeError(
            f"the replica {replica} is not sealed: it is being written",
            "wait until its job has finished, then repeat",
        )
    volumes = zip(shapes_of(replica), seal.roots, strict=True)
    return SealedRun(seal.generation, tuple(_volume(replica, shape, root) for shape, root in volumes))


def _volume(replica: Path, shape: VolumeShape, root: bytes) -> SealedVolume:
    return SealedVolume(shape, root, shape.data_path(replica), "raw", shape.journal_path(replica))


class _Entries:
    """A journal's entries, also where its file is too short: what is missing is ABSENT."""

    def __init__(self, device: FileDevice) -> None:
        self._journal = Journal(device)

    def read(self, first: int, count: int) -> bytes:
        there = max(0, min(count, self._journal.chunks - first))
        return self._journal.read(first, there) + ABSENT * (count - there)
