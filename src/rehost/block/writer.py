"""Writing the topmost layer of a replica.

The rule of `commit` is what makes an acknowledgement true after any crash: entries of chunks that will be
overwritten are forgotten, durably; then data, durably; then digests, durably.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from rehost.block.crashpoint import reach
from rehost.block.device import Device
from rehost.block.file import open_volume
from rehost.block.layer import Layer, chain
from rehost.block.replica import Replica, open_volumes
from rehost.block.volume import ChunkWrite, PatchWrite, Volume, VolumeShape, Write, ZeroWrite, disjoint
from rehost.core import digest, pages
from rehost.core.errors import ConnectionLostError, PatchRefusedError, VolumeError, WireError

Devices = Mapping[int, Device]
OpenDevices = Callable[[Layer, Sequence[VolumeShape]], AbstractContextManager[Devices]]
"""Opens the volumes of a layer for as long as it is written."""


class ReplicaWriter(Replica):
    """A replica that is open for writing; safe for several threads."""

    def __init__(
        self,
        path: Path,
        layer: Layer,
        volumes: Sequence[Volume],
        opened: ExitStack,
        devices: Devices,
        lowest: Devices = MappingProxyType({}),
    ) -> None:
        """`lowest`: to read the volumes of the lowest layer, where that is another one than `layer`."""
        super().__init__(path, layer, volumes, opened)
        self.devices = dict(devices)
        self._lowest = lowest
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

    def patched(self, volume: int, chunk: int, among: int, content: bytes | memoryview) -> PatchWrite:
        """What lays pages over a chunk: `content` are the pages `among` (see `core.pages`), joined.

        PatchRefusedError if the rest of the chunk is not what the journal says, or nothing is durable. It is
        read and digested: the new digest must not vouch for anything that the old one did not.
        """
        length = self.volume(volume).shape.length(chunk)
        base = self.digests(volume, chunk, 1)
        whole = bytearray(length)
        self._device_of(volume, chunk).read_into(chunk * self.volume(volume).shape.chunk, memoryview(whole))
        if digest.of(whole) != base:
            raise PatchRefusedError(
                f"chunk {chunk} of volume {volume} is not here, or not as it was written",
                "the agent sends all of it",
            )
        before, done = bytes(whole), 0
        for part in pages.parts(among, length):
            whole[part.start : part.end] = content[done : done + len(part)]
            done += len(part)
        changed = pages.parts(pages.differing(before, whole, among), length)
        pieces = tuple((part.start, bytes(whole[part.start : part.end])) for part in changed)
        return PatchWrite(volume, chunk, digest.of(whole), base, pieces)

    def _device_of(self, volume: int, chunk: int) -> Device:
        """To read a chunk from. What only the lowest layer has is read there, in a fifth of the time."""
        if volume in self._lowest and self.volumes[volume].journal.only_lowest(chunk):
            return self._lowest[volume]
        return self.devices[volume]

    def forget(self, generation: int, volume: int, chunk: int) -> None:
        """Nothing of a chunk is durable any more; TicketStaleError as for `commit`."""
        with self._whole(), self.fence.writing(generation):
            self.check(generation)
            self.volumes[volume].journal.forget(chunk, 1)
            self.volumes[volume].journal.flush()

    def _commit(self, writes: Sequence[Write]) -> None:
        """No two of the writes touch the same chunk: of two digests the first might stay, with other data."""
        for write in writes:
            if isinstance(write, PatchWrite):
                self._check_base(write)
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
        match write:
            case ChunkWrite():
                device.write(start, write.content)
            case PatchWrite():
                for place, content in write.pieces:
                    _write_or_zero(device, start + place, content)
            case ZeroWrite():
                device.zero(start, min(write.count * shape.chunk, shape.size - start))

    def _check_base(self, write: PatchWrite) -> None:
        """Nobody wrote the chunk after the patch was made."""
        if self.volumes[write.volume].digests(write.first, 1) != write.base:
            raise WireError(f"chunk {write.first} was written twice at once", "update the agent")

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


def _write_or_zero(device: Device, offset: int, content: bytes | memoryview) -> None:
    """Zeroes take no room."""
    if bytes(content).count(0) == len(content):
        device.zero(offset, len(content))
    else:
        device.write(offset, content)


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
        lowest = {} if layer.lowest else _readable(chain(path)[0], volumes, opening)
        for volume in volumes:  # a killed writer's entries are read now, and may not be durable yet
            volume.journal.flush()
        return ReplicaWriter(path, layer, volumes, opening.pop_all(), devices, lowest)


def _readable(layer: Layer, volumes: Sequence[Volume], opened: ExitStack) -> Devices:
    devices = {}
    for volume in volumes:
        number = volume.shape.volume
        devices[number] = open_volume(layer.data(number), writable=False)
        opened.callback(devices[number].close)
    return devices
