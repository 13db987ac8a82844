"""Digests of a disk's chunks, wherever they are kept: in a replica's journal, or in a file for its source."""

from collections.abc import Iterator
from typing import Protocol

from rehost.block.volume import VolumeShape
from rehost.core import digest

_BLOCK = 128 * digest.SPAN  # chunks that are read together


class ChunkDigests(Protocol):
    def read(self, first: int, count: int) -> bytes:
        """The digests of `count` chunks, joined."""


def blocks_of(digests: ChunkDigests, shape: VolumeShape) -> Iterator[bytes]:
    """All digests of a disk in order, many at a time."""
    for first in range(0, shape.chunks, _BLOCK):
        yield digests.read(first, min(_BLOCK, shape.chunks - first))


def root_of(digests: ChunkDigests, shape: VolumeShape) -> bytes:
    """The root over them; entries that are ABSENT count as they are."""
    return digest.root_of_subtrees(_nodes(digests, shape), shape.size)


def _nodes(digests: ChunkDigests, shape: VolumeShape) -> Iterator[bytes]:
    length = digest.SPAN * digest.SIZE
    for block in blocks_of(digests, shape):
        for start in range(0, len(block), length):
            yield digest.subtree(block[start : start + length])
