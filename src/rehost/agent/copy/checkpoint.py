"""Where the last complete run of a job ended: with it, the next run looks only at what was written since.

Kept in the agent's state folder from the beginning of a job's first run to the job's end; one at a time, as a
source has one unfinished job at most. It names every disk whose tracker the kernel may keep.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rehost.block import durable
from rehost.core import digest
from rehost.core.agentapi import Assignment, AssignmentVolume
from rehost.core.errors import TrackingError
from rehost.core.extent import Extents
from rehost.core.freezing import FreezeBefore
from rehost.track import ladder
from rehost.track.bookmark import Bookmark
from rehost.track.used import DiskUse

_FILE = "checkpoint"
_NONE = FreezeBefore()


@dataclass(frozen=True, slots=True)
class VolumeCheckpoint:
    """One disk when the last round's pass over it began."""

    volume: AssignmentVolume
    number: int  # device number
    bookmark: Bookmark | None  # None: what is written since is not told
    used: bytes  # extents, see `Extents.to_bytes`
    gap: int  # see `DiskUse`
    nodes: bytes  # each span's subtree of the replica's digests

    def known_use(self) -> DiskUse:
        return DiskUse(Extents.from_bytes(self.used), (), self.gap)

    def known_nodes(self) -> list[bytes]:
        return digest.split(self.nodes)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    job: str
    roots: tuple[str, ...]  # hex, of the replica, by volume; empty: no run was complete yet
    volumes: tuple[VolumeCheckpoint, ...]
    freeze: FreezeBefore = _NONE

    def objection(self, assignment: Assignment) -> str:
        """Why a run cannot build on it; empty if it can, as far as can be told without the disks."""
        if not self.roots:
            return "no earlier run is known here"
        if assignment.job != self.job:
            return "the run before was of another job"
        if assignment.volumes != tuple(volume.volume for volume in self.volumes):
            return "other disks were copied in the run before"
        if assignment.base_roots != self.roots:
            return "the replica is not what the run before left"
        return ""


def begun(job: str, volumes: Iterable[tuple[AssignmentVolume, int]]) -> Checkpoint:
    """Of a job without a complete run; volumes with their disks' numbers."""
    nothing = (VolumeCheckpoint(volume, number, None, b"", 0, b"") for volume, number in volumes)
    return Checkpoint(job, (), tuple(nothing))


def volume_checkpoint(
    volume: AssignmentVolume, number: int, bookmark: Bookmark | None, use: DiskUse, nodes: list[bytes]
) -> VolumeCheckpoint:
    return VolumeCheckpoint(volume, number, bookmark, use.used.to_bytes(), use.gap, b"".join(nodes))


def load(state: Path) -> Checkpoint | None:
    """None when there is none; one that is damaged, or of another version, counts as none."""
    try:
        content = memoryview((state / _FILE).read_bytes())
        if digest.of(content[digest.SIZE :]) != content[: digest.SIZE]:
            return None
        return msgspec.msgpack.decode(content[digest.SIZE :], type=Checkpoint)
    except (OSError, msgspec.DecodeError):
        return None


def save(state: Path, checkpoint: Checkpoint) -> None:
    """Never inside a freeze: the state folder may lie on a disk that is copied."""
    content = msgspec.msgpack.encode(checkpoint)
    durable.write_file(state / _FILE, digest.of(content) + content, 0o600)


def exists(state: Path) -> bool:
    return (state / _FILE).exists()


def forget(state: Path) -> None:
    """End the tracking that was kept with it; repeatable."""
    kept = load(state)
    for volume in kept.volumes if kept else ():
        with suppress(TrackingError):  # another process goes on with it
            ladder.forget(volume.number)
    durable.remove_file(state / _FILE)
