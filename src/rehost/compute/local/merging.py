"""Merging a layer that no image needs with the next one: what stays has the newer content, the older name.

While it goes on the upper layer over the lower one reads as it always did: what is written into the lower one
is what the upper one has anyway. So every step can be repeated, and a merge that was cut off disturbs nobody.
QEMU's image locks keep machines and exports from seeing a lower layer that is being written.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rehost.block.durable import remove_file, sync_file, write_file
from rehost.block.journal import open_journal
from rehost.block.layer import Layer, chain
from rehost.block.replica import shapes_of
from rehost.block.volume import VolumeShape
from rehost.compute.local import folders, qemuimg

_MARK = "merging.json"


def merge(replica: Path, lower: Layer, upper: Layer, overlays: Sequence[Path]) -> Iterator[str]:
    """Do it step by step, saying what was done; both are sealed. `overlays` are those that lie on the upper.

    VolumeInUseError while a program has one of the files open; a later call goes on.
    """
    write_file(lower.path / _MARK, json.dumps({"from": upper.path.name}).encode())
    yield "marked"
    for shape in shapes_of(replica):
        yield from _merge_volume(shape, lower, upper)
    for overlay in (*_next_layer(replica, upper), *overlays):
        _put_on(overlay, lower)
        yield f"rebased {overlay}"
    sealed = upper.sealed
    assert sealed is not None, "only sealed layers are merged"
    lower.seal(sealed)
    yield "sealed"
    folders.remove(upper.path)
    yield "removed"
    remove_file(lower.path / _MARK)
    yield "done"


def pending(replica: Path) -> tuple[Layer, Layer] | None:
    """The layers of a merge that was cut off, lower and upper; a mark that was left alone is removed."""
    layers = chain(replica)
    for lower, upper in zip(layers, (*layers[1:], None), strict=True):
        mark = lower.path / _MARK
        if not mark.exists():
            continue
        if upper is not None and upper.path.name == json.loads(mark.read_bytes())["from"]:
            return lower, upper
        remove_file(mark)
    return None


def _merge_volume(shape: VolumeShape, lower: Layer, upper: Layer) -> Iterator[str]:
    qemuimg.commit(upper.data(shape.volume))
    sync_file(lower.data(shape.volume))
    yield f"committed {shape.volume}"
    _merge_journal(shape, lower, upper)
    yield f"journal {shape.volume}"
    write_file(lower.nodes(shape.volume), upper.nodes(shape.volume).read_bytes())
    yield f"nodes {shape.volume}"


def _merge_journal(shape: VolumeShape, lower: Layer, upper: Layer) -> None:
    source = open_journal(upper.journal(shape.volume), shape.chunks)
    target = open_journal(lower.journal(shape.volume), shape.chunks)
    try:
        for chunk, entry in source.entries():
            target.put(chunk, entry)
        target.flush()
    finally:
        source.close()
        target.close()


def _next_layer(replica: Path, upper: Layer) -> list[Path]:
    """The volumes that lie on those of a layer."""
    layers = chain(replica)
    above = layers[layers.index(upper) + 1 :]
    return [above[0].data(shape.volume) for shape in shapes_of(replica)] if above else []


def _put_on(overlay: Path, layer: Layer) -> None:
    """The way to the backing file is relative: a data folder can be moved."""
    backing = layer.path / overlay.with_suffix(f".{layer.form}").name
    qemuimg.rebase(overlay, os.path.relpath(backing, overlay.parent), layer.form)
    sync_file(overlay)
