"""The layers of a replica: what each run wrote, on top of what the runs before it left.

    layers/000000/disk-<n>.raw    disk-<n>.digests  disk-<n>.nodes  sealed.json    the baseline
    layers/000002/disk-<n>.qcow2  ...                                              a later run

A layer's name is the generation that began it, so that no name comes twice. Each is read over the one below
it. A sealed layer is complete and is not written any more; only the topmost one can be open.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost.block.crashpoint import reach
from rehost.block.durable import remove_file, sync_file, sync_folder, write_file
from rehost.block.volume import VolumeShape

MakeVolume = Callable[[Path, "Layer", VolumeShape], None]
"""Makes the empty file of a volume in a new layer's folder, over the layer below it."""

_ZEROES = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a finished layer is: which run wrote it, under which generation, and the root of each volume."""

    run: str
    generation: int
    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    path: Path
    lowest: bool  # with raw volumes; all others are qcow2 over the layer below

    @property
    def form(self) -> str:
        """The format of its volumes, as QEMU calls it."""
        return "raw" if self.lowest else "qcow2"

    def data(self, volume: int) -> Path:
        return self.path / f"disk-{volume}.{self.form}"

    def journal(self, volume: int) -> Path:
        return self.path / f"disk-{volume}.digests"

    def nodes(self, volume: int) -> Path:
        """The nodes over each span of chunks, of the whole content and not of this layer's part only."""
        return self.path / f"disk-{volume}.nodes"

    @property
    def _seal(self) -> Path:
        return self.path / "sealed.json"

    @property
    def sealed(self) -> Sealed | None:
        try:
            seal = json.loads(self._seal.read_text())
        except FileNotFoundError:
            return None
        return Sealed(seal["run"], seal["generation"], tuple(map(bytes.fromhex, seal["roots"])))

    def seal(self, sealed: Sealed) -> None:
        content = {
            "run": sealed.run,
            "generation": sealed.generation,
            "roots": [root.hex() for root in sealed.roots],
        }
        write_file(self._seal, json.dumps(content, indent=1).encode())

    def reopen(self) -> None:
        """It may be written again; durable, repeatable."""
        remove_file(self._seal)


def chain(replica: Path) -> tuple[Layer, ...]:
    """The layers of a replica, the lowest first; none if there is no replica."""
    try:
        names = sorted(name for name in os.listdir(replica / "layers") if name.isdecimal())
    except FileNotFoundError:
        return ()
    return tuple(Layer(replica / "layers" / name, place == 0) for place, name in enumerate(names))


def begin_lowest(replica: Path, shapes: Sequence[VolumeShape]) -> None:
    """The lowest layer: sparse volumes of zeroes, journals without a chunk.

    Journals are written in full, so that a later flush has no metadata to write and cannot meet a full disk.
    """
    if chain(replica):
        return
    with _Building(replica, 0) as folder:
        layer = Layer(folder, lowest=True)
        for shape in shapes:
            _make_sparse(layer.data(shape.volume), shape.size)
            _make_zeroed(layer.journal(shape.volume), shape.journal_size)


def begin_layer(
    replica: Path, generation: int, shapes: Sequence[VolumeShape], make_volume: MakeVolume
) -> None:
    """A new layer on top of a replica, there whole or not at all; journals are sparse."""
    below = chain(replica)[-1]
    with _Building(replica, generation) as folder:
        layer = Layer(folder, lowest=False)
        for shape in shapes:
            make_volume(folder, below, shape)
            _make_sparse(layer.journal(shape.volume), shape.journal_size)


class _Building:
    """A folder that becomes a layer when it is full: made under a name at which nobody looks."""

    def __init__(self, replica: Path, generation: int) -> None:
        self._layers = replica / "layers"
        self._name = f"{generation:06d}"

    @property
    def _folder(self) -> Path:
        return self._layers / f".{self._name}.new"

    def __enter__(self) -> Path:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self._folder

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for entry in self._folder.iterdir():
            sync_file(entry)
        sync_folder(self._folder)
        reach("layer.built")
        self._folder.rename(self._layers / self._name)
        sync_folder(self._layers)
        reach("layer.placed")


def _make_sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _make_zeroed(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, len(_ZEROES)):
            file.write(memoryview(_ZEROES)[: size - start])
