"""Writing the topmost layer of a replica.

The rule of `commit` is what makes an acknowledgement true after any crash: entries of chunks that will be
overwritten are forgotten, durably; then data, durably; then digests, durably.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from rehost.block.crashpoint import reach
from rehost.block.device import Device
from rehost.block.file import open_volume
from rehost.block.layer import Layer
from rehost.block.replica import Replica, open_volumes
from rehost.block.volume import ChunkWrite, Volume, VolumeShape, Write, disjoint
from rehost.core.errors import ConnectionLostError, VolumeError

Devices = Mapping[int, Device]
OpenDevices = Callable[[Layer, Sequence[VolumeShape]], AbstractContextManager[Devices]]
"""Opens the volumes of a layer for as long as it is written."""


class ReplicaWriter(Replica):
    """A replica that is open for writing; safe for several threads."""

    def __init__(
        self, path: Path, layer: Layer, volumes: Sequence[Volume], opened: ExitStack, devices: Devices
    ) -> None:
        super().__init__(path, layer, volumes, opened)
        self.devices = dict(devices)
        self._commits = threading.Lock()
        self._broken: Exception | None = None

    @property
    def broken(self) -> bool:
        """A commit failed: nothing is written any more until the replica is opened anew."""
        return self._broken is not None

    def commit(self, generation: int, writes: Sequence[Write]) -> None:
        """Make the writes durable, in order, data and journal; all or an error.

        TicketStaleError if another generation owns the replica by now. One thread at a time: what one of two
        crossing commits wrote would stand under the other's digest.
        """
        with self._whole(), self.fence.writing(generation):
            self.check(generation)
            try:
                for batch in disjoint(writes):
                    self._commit(batch)
            except Exception as error:
                # The kernel reports a failed flush once; a later one would vouch for lost pages.
                self._broken = error
                raise

    def _commit(self, writes: Sequence[Write]) -> None:
        """No two of the writes touch the same chunk: of two digests the first might stay, with other data."""
        touched = sorted({write.volume for write in writes})
        forgotten = {write.volume for write in writes if self.volumes[write.volume].forget(write)}
        for number in forgotten:
            self.volumes[number].journal.flush()
        reach("commit.forgotten")
        for write in writes:
            self._write(write)
        reach("commit.written")
        for number in touched:
            self.devices[number].flush()
        reach("commit.flushed")
        for write in writes:
            self.volumes[write.volume].record(write)
        reach("commit.recorded")
        for number in touched:
            self.volumes[number].journal.flush()
        reach("commit.durable")

    def _write(self, write: Write) -> None:
        device, shape = self.devices[write.volume], self.volumes[write.volume].shape
        start = write.first * shape.chunk
        if isinstance(write, ChunkWrite):
            device.write(start, write.content)
        else:
            device.zero(start, min(write.count * shape.chunk, shape.size - start))

    def digests(self, volume: int, first: int, count: int) -> bytes:
        """Those of a chunk in a commit only once that is through."""
        with self._whole():
            return super().digests(volume, first, count)

    def fresh(self, volume: int) -> bool:
        with self._whole():
            return super().fresh(volume)

    def roots(self) -> tuple[bytes, ...]:
        with self._whole():
            return super().roots()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """While this is held no commit is half done; raises what broke an earlier one."""
        with self._commits:
            if self._broken is not None:
                raise self._broken
            yield

    def close(self) -> None:
        """Repeatable, and possible while other threads use it: they are told that it is over."""
        with self._commits:
            self._broken = self._broken or ConnectionLostError(
                "the replica was closed", "the agent connects again by itself"
            )
            self._opened.close()


@contextmanager
def raw_devices(layer: Layer, shapes: Sequence[VolumeShape]) -> Iterator[Devices]:
    """The volumes of the lowest layer are files."""
    if not layer.lowest:
        raise VolumeError(f"the volumes of {layer.path} are {layer.form}, which needs QEMU to write")
    with ExitStack() as opened:
        devices = {}
        for shape in shapes:
            devices[shape.volume] = open_volume(layer.data(shape.volume))
            opened.callback(devices[shape.volume].close)
        yield devices


def open_writer(path: Path, open_devices: OpenDevices = raw_devices) -> ReplicaWriter:
    """Open a replica to write its topmost layer; VolumeError if it is not whole."""
    with ExitStack() as opening:
        layer, volumes = open_volumes(path, opening)
        devices = opening.enter_context(open_devices(layer, [volume.shape for volume in volumes]))
        for volume in volumes:  # a killed writer's entries are read now, and may not be durable yet
            volume.journal.flush()
        return ReplicaWriter(path, layer, volumes, opening.pop_all(), devices)
