"""A replica: the folder with the volumes of one job, their journals, the generation and the seal.

    replica.json  generation  lock  disk-<n>.raw  disk-<n>.digests  sealed.json

The rule of `commit` is what makes an acknowledgement true after any crash: entries of chunks that will be
overwritten become ABSENT, durably; then data, durably; then digests, durably.
"""

import errno
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from rehost.block.durable import sync_folder, write_file
from rehost.block.fence import Fence, Sealed
from rehost.block.file import open_volume
from rehost.block.journal import open_journal
from rehost.block.volume import Volume, VolumeShape, Write, disjoint
from rehost.core.errors import InvalidValueError, ReplicaIncompleteError, VolumeError, VolumeFullError

_ANEW = "delete the job and create it again"
_ZEROES = bytes(1 << 20)


class Replica:
    """An open replica; safe for several threads. `with` closes it."""

    def __init__(self, path: Path, volumes: Sequence[Volume]) -> None:
        self.path = path
        self.volumes = {volume.shape.volume: volume for volume in volumes}
        self.fence = Fence(path)
        self._commits = threading.Lock()
        self._broken: Exception | None = None

    @property
    def broken(self) -> bool:
        """A commit failed: nothing is written any more until the replica is opened anew."""
        return self._broken is not None

    @property
    def shapes(self) -> tuple[VolumeShape, ...]:
        return tuple(volume.shape for volume in self.volumes.values())

    def volume(self, number: int) -> Volume:
        try:
            return self.volumes[number]
        except KeyError:
            raise InvalidValueError(f"the replica has no volume {number}") from None

    def commit(self, generation: int, writes: Sequence[Write]) -> None:
        """Make the writes durable, in order, data and journal; all or an error.

        TicketStaleError if another generation owns the replica by now. One thread at a time: what one of two
        crossing commits wrote would stand under the other's digest.
        """
        with self._whole(), self.fence.writing(generation):
            try:
                for batch in disjoint(writes):
                    self._commit(batch)
            except Exception as error:
                # The kernel reports a failed flush once; a later one would vouch for lost pages.
                self._broken = error
                raise

    def _commit(self, writes: Sequence[Write]) -> None:
        """No two of the writes touch the same chunk: of two digests the first might stay, with other data."""
        touched = [self.volumes[number] for number in sorted({write.volume for write in writes})]
        forgotten = {write.volume for write in writes if self.volumes[write.volume].forget(write)}
        for number in forgotten:
            self.volumes[number].journal.flush()
        for write in writes:
            self.volumes[write.volume].write(write)
        for volume in touched:
            volume.device.flush()
        for write in writes:
            self.volumes[write.volume].record(write)
        for volume in touched:
            volume.journal.flush()

    def digests(self, volume: int, first: int, count: int) -> bytes:
        """The journal's entries, joined; of a chunk in a commit only once that is through."""
        with self._whole():
            return self.volume(volume).digests(first, count)

    def fresh(self, volume: int) -> bool:
        """No chunk of the volume is durable."""
        with self._whole():
            return self.volume(volume).journal.fresh

    def roots(self) -> tuple[bytes, ...]:
        """The root of each volume; ReplicaIncompleteError if a chunk is absent."""
        with self._whole():
            return self._roots()

    def _roots(self) -> tuple[bytes, ...]:
        return tuple(volume.root() for volume in self.volumes.values())

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """While this is held no commit is half done; raises what broke an earlier one."""
        with self._commits:
            if self._broken is not None:
                raise self._broken
            yield

    @property
    def generation(self) -> int:
        return self.fence.generation

    def raise_generation(self, generation: int) -> None:
        """Only this generation writes from now on, and an older seal is broken; durable and repeatable."""
        self.fence.raise_to(generation)

    @property
    def sealed(self) -> Sealed | None:
        return self.fence.sealed

    def seal(self, roots: Sequence[bytes]) -> Sealed:
        """Close the replica for writers, if it is complete and has these roots; repeatable."""
        with self._whole(), self.fence.exclusive():
            found = self._roots()
            if found != tuple(roots):
                raise ReplicaIncompleteError(
                    f"the replica {self.path.name} is not what the source says it sent",
                    "start the job again: what differs is copied again",
                )
            for volume in self.volumes.values():
                volume.device.flush()
                volume.journal.flush()
            return self.fence.seal(found)

    def close(self) -> None:
        for volume in self.volumes.values():
            volume.close()

    def __enter__(self) -> "Replica":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(path: Path, shapes: Sequence[VolumeShape]) -> None:
    """Make the folder with sparse volumes of zeroes and journals without a chunk; repeatable.

    InvalidValueError if there is one of other shapes. replica.json comes last and says that all is there.
    """
    path.mkdir(parents=True, exist_ok=True)
    sync_folder(path.parent)
    description = path / "replica.json"
    if description.exists():
        if shapes_of(path) != tuple(shapes):
            raise InvalidValueError(f"the replica {path.name} exists with other disks", _ANEW)
        return
    try:
        for shape in shapes:
            _create_sparse(shape.data_path(path), shape.size)
            _create_zeroed(shape.journal_path(path), shape.journal_size)
        sync_folder(path)
        Fence(path).create()
        write_file(description, json.dumps([asdict(shape) for shape in shapes], indent=1).encode())
    except OSError as error:
        raise _creation_error(path, error) from error


def open_replica(path: Path) -> Replica:
    """Open a replica that `create` made; VolumeError if it is not whole."""
    with ExitStack() as opened:
        volumes = [_open(path, shape, opened) for shape in shapes_of(path)]
        opened.pop_all()
    return Replica(path, volumes)


def _open(path: Path, shape: VolumeShape, opened: ExitStack) -> Volume:
    journal = open_journal(shape.journal_path(path), shape.chunks)
    opened.callback(journal.close)
    device = open_volume(shape.data_path(path))
    opened.callback(device.close)
    return Volume(shape, device, journal)


def shapes_of(path: Path) -> tuple[VolumeShape, ...]:
    """The volumes of a replica; VolumeError if it is none."""
    try:
        return tuple(VolumeShape(**shape) for shape in json.loads((path / "replica.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise VolumeError(f"{path} is no replica: {error}", _ANEW) from error


def _create_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _create_zeroed(path: Path, size: int) -> None:
    """Written in full, so that a later flush has no metadata to write and cannot meet a full disk."""
    with path.open("wb") as file:
        for start in range(0, size, len(_ZEROES)):
            file.write(memoryview(_ZEROES)[: size - start])
        file.flush()
        os.fsync(file.fileno())


def _creation_error(path: Path, error: OSError) -> VolumeError | VolumeFullError:
    what = f"cannot create the replica {path}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return VolumeFullError(
            what, "make room on the file system that holds the data folder, then start again"
        )
    return VolumeError(what, "check the file system that holds the data folder, then start the job again")
