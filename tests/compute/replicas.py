"""Filling a replica as the receiver does, chunk by chunk through the journal."""

from collections.abc import Sequence
from pathlib import Path

from rehost.block.replica import open_replica
from rehost.block.volume import ChunkWrite, VolumeShape, Write, ZeroWrite
from rehost.compute.driver import Driver, VolumeSpec
from rehost.core import digest

CHUNK = 256 << 10


def spec(volume: int, content: bytes) -> VolumeSpec:
    return VolumeSpec(volume, len(content), CHUNK, used=len(content))


def fill(replica_path: Path, contents: Sequence[bytes], generation: int) -> tuple[bytes, ...]:
    """Write whole volumes; the roots to seal with."""
    with open_replica(replica_path) as replica:
        for shape, content in zip(replica.shapes, contents, strict=True):
            replica.commit(generation, _writes(shape, content))
        return replica.roots()


def sealed(driver: Driver, job: str, *contents: bytes) -> None:
    """A sealed replica of generation 1 with these volumes."""
    driver.create_replica(job, [spec(number, content) for number, content in enumerate(contents)], 1)
    driver.seal(job, fill(driver.replica_path(job), contents, 1))


def _writes(shape: VolumeShape, content: bytes) -> list[Write]:
    return [
        _write(shape, index, content[index * CHUNK : (index + 1) * CHUNK]) for index in range(shape.chunks)
    ]


def _write(shape: VolumeShape, index: int, part: bytes) -> Write:
    if not any(part):
        return ZeroWrite(shape.volume, index, 1)
    return ChunkWrite(shape.volume, index, digest.of(part), part)
