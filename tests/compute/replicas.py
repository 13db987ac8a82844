"""Filling a replica as the receiver does, chunk by chunk through the journal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rehost.block.volume import ChunkWrite, VolumeShape, Write, ZeroWrite
from rehost.block.writer import open_writer
from rehost.compute.driver import Driver, VolumeSpec
from rehost.core import digest
from rehost.receive.volumes import devices

CHUNK = 256 << 10


def spec(volume: int, content: bytes) -> VolumeSpec:
    return VolumeSpec(volume, len(content), CHUNK, used=len(content))


def fill(replica_path: Path, contents: Sequence[bytes], generation: int) -> tuple[bytes, ...]:
    """Bring volumes to a content, chunk by chunk where they differ; the roots to seal with."""
    with open_writer(replica_path, devices) as replica:
        for shape, content in zip(replica.shapes, contents, strict=True):
            journal = replica.digests(shape.volume, 0, shape.chunks)
            if writes := list(_writes(shape, content, journal)):
                replica.commit(generation, writes)
        return replica.roots()


def sealed(driver: Driver, job: str, *contents: bytes) -> None:
    """A sealed replica of generation 1 with these volumes."""
    sealed_run(driver, job, "r-1", 1, *contents)


def sealed_run(driver: Driver, job: str, run: str, generation: int, *contents: bytes) -> None:
    """A run of a job that writes volumes whole, what is equal to the run before left out."""
    specs = [spec(number, content) for number, content in enumerate(contents)]
    driver.create_replica(job, specs, generation, run)
    driver.seal(job, run, fill(driver.replica_path(job), contents, generation))


def _writes(shape: VolumeShape, content: bytes, journal: bytes) -> Iterator[Write]:
    for index in range(shape.chunks):
        part = content[index * CHUNK : (index + 1) * CHUNK]
        if digest.of(part) != journal[index * digest.SIZE : (index + 1) * digest.SIZE]:
            yield _write(shape, index, part)


def _write(shape: VolumeShape, index: int, part: bytes) -> Write:
    if not any(part):
        return ZeroWrite(shape.volume, index, 1)
    return ChunkWrite(shape.volume, index, digest.of(part), part)
