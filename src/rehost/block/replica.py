"""A replica: the folder with the copied volumes of one job, in layers, their journals, and the generation.

    replica.json  generation  lock  layers/

See `layer` for what is in a layer, and `writer` for how it is filled.
"""

import errno
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from rehost.block.crashpoint import reach
from rehost.block.durable import make_folder, sync_file, sync_folder, write_file
from rehost.block.fence import STOP, Fence
from rehost.block.journal import Journal, open_journal
from rehost.block.layer import Layer, MakeVolume, Sealed, begin_layer, begin_lowest, chain
from rehost.block.volume import Volume, VolumeShape
from rehost.core.errors import (
    InvalidValueError,
    ReplicaIncompleteError,
    TicketStaleError,
    VolumeError,
    VolumeFullError,
)

_ANEW = "delete the job and create it again"


class Replica:
    """An open replica, seen from its topmost layer. `with` closes it."""

    def __init__(self, path: Path, layer: Layer, volumes: Sequence[Volume], opened: ExitStack) -> None:
        """`opened` closes what belongs to the volumes."""
        self.path = path
        self.layer = layer
        self._opened = opened
        self.volumes = {volume.shape.volume: volume for volume in volumes}
        self.fence = Fence(path)

    @property
    def shapes(self) -> tuple[VolumeShape, ...]:
        return tuple(volume.shape for volume in self.volumes.values())

    def volume(self, number: int) -> Volume:
        try:
            return self.volumes[number]
        except KeyError:
            raise InvalidValueError(f"the replica has no volume {number}") from None

    def digests(self, volume: int, first: int, count: int) -> bytes:
        """The journal's entries, joined."""
        return self.volume(volume).digests(first, count)

    def fresh(self, volume: int) -> bool:
        """No chunk of the volume is durable."""
        return self.volume(volume).journal.fresh

    def roots(self) -> tuple[bytes, ...]:
        """The root of each volume; ReplicaIncompleteError if a chunk is absent."""
        return tuple(volume.root(volume.nodes()) for volume in self.volumes.values())

    @property
    def generation(self) -> int:
        return self.fence.generation

    def raise_generation(self, generation: int) -> None:
        """Only this generation writes from now on; durable and repeatable."""
        self.fence.raise_to(generation)

    @property
    def outdated(self) -> bool:
        """There is another layer on top by now, or no replica at all."""
        return chain(self.path)[-1:] != (self.layer,)

    def check(self, generation: int) -> None:
        """TicketStaleError if this generation may not write this layer."""
        self.fence.check(generation)
        if self.outdated or self.layer.sealed is not None:
            raise TicketStaleError("the replica is sealed", STOP)

    @property
    def sealed(self) -> Sealed | None:
        return self.layer.sealed

    def seal(self, run: str, roots: Sequence[bytes]) -> Sealed:
        """Close the layer for writers, if it is complete and has these roots; repeatable."""
        with self.fence.exclusive():
            nodes = {number: volume.nodes() for number, volume in self.volumes.items()}
            if tuple(volume.root(nodes[number]) for number, volume in self.volumes.items()) != tuple(roots):
                raise ReplicaIncompleteError(
                    f"the replica {self.path.name} is not what the source says it sent",
                    "start the job again: what differs is copied again",
                )
            for number, volume in self.volumes.items():
                sync_file(self.layer.data(number))
                volume.journal.flush()
                reach("seal.data")
                write_file(self.layer.nodes(number), nodes[number])
                reach("seal.nodes")
            sealed = Sealed(run, self.generation, tuple(roots))
            self.layer.seal(sealed)
            reach("seal.sealed")
            return sealed

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(path: Path, shapes: Sequence[VolumeShape]) -> None:
    """Make the folder with an empty layer; repeatable.

    InvalidValueError if there is one of other shapes. replica.json comes last and says that all is there.
    """
    make_folder(path)
    description = path / "replica.json"
    if description.exists():
        if shapes_of(path) != tuple(shapes):
            raise InvalidValueError(f"the replica {path.name} exists with other disks", _ANEW)
        return
    try:
        begin_lowest(path, shapes)
        sync_folder(path)
        reach("replica.begun")
        Fence(path).create()
        reach("replica.fenced")
        write_file(description, json.dumps([asdict(shape) for shape in shapes], indent=1).encode())
    except OSError as error:
        raise _creation_error(path, error) from error


def extend(path: Path, generation: int, make_volume: MakeVolume) -> None:
    """Put a new layer on the sealed ones of a replica, for the writers of a generation."""
    try:
        begin_layer(path, generation, shapes_of(path), make_volume)
    except OSError as error:
        raise _creation_error(path, error) from error


def open_replica(path: Path) -> Replica:
    """Open a replica that `create` made; VolumeError if it is not whole."""
    with ExitStack() as opened:
        layer, volumes = open_volumes(path, opened)
        return Replica(path, layer, volumes, opened.pop_all())


def open_volumes(path: Path, opened: ExitStack) -> tuple[Layer, list[Volume]]:
    """The topmost layer, and the volumes of a replica; `opened` closes their journals."""
    shapes, layers = shapes_of(path), chain(path)
    if not layers:
        raise VolumeError(f"{path} is no replica: it has no layers", _ANEW)
    return layers[-1], [_open(shape, layers, opened) for shape in shapes]


def _open(shape: VolumeShape, layers: Sequence[Layer], opened: ExitStack) -> Volume:
    journal: Journal | None = None
    for layer in layers:
        journal = open_journal(layer.journal(shape.volume), shape.chunks, journal)
        opened.callback(journal.close)
    assert journal is not None
    return Volume(shape, journal, _nodes_below(shape, layers))


def _nodes_below(shape: VolumeShape, layers: Sequence[Layer]) -> bytes:
    if len(layers) == 1:
        return b""
    try:
        return layers[-2].nodes(shape.volume).read_bytes()
    except OSError as error:
        raise VolumeError(f"{layers[-2].path} is not whole: {error.strerror}", _ANEW) from error


def shapes_of(path: Path) -> tuple[VolumeShape, ...]:
    """The volumes of the replica in a folder; VolumeError if there is none."""
    try:
        return tuple(VolumeShape(**shape) for shape in json.loads((path / "replica.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise VolumeError(f"{path} is no replica: {error}", _ANEW) from error


def _creation_error(path: Path, error: OSError) -> VolumeError | VolumeFullError:
    what = f"cannot create the replica {path}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return VolumeFullError(
            what, "make room on the file system that holds the data folder, then start again"
        )
    return VolumeError(what, "check the file system that holds the data folder, then start the job again")
