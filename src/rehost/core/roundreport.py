"""What a round of a run did, and what is known after it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class RoundKind(StrEnum):
    BASELINE = "baseline"
    DELTA = "delta"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What one round did, over all disks of a run."""

    kind: RoundKind
    number: int  # from 1
    read: int  # bytes read from the source's disks
    changed: int  # bytes of chunks that differed from the replica
    sent: int  # bytes on the wire
    seconds: float
    content: int = 0  # bytes of the changed chunks that are not zero
    reading: float = 0.0  # seconds spent in reads, of all streams together
    backlog: int = 0  # bytes written meanwhile, on disks whose writes are tracked
    untracked: int = 0  # used bytes of the disks of which nobody knows what was written meanwhile
    touched: int = 0  # bytes of the chunks in which the backlog lies: a page takes as long as its chunk
    syncing: float = 0.0  # seconds that file systems took to write out what came up since they had done so
    looking: float = 0.0  # seconds for the marks of write tracking and the maps of used blocks
    answer: float = 0.0  # seconds from a question to the receiver, when nothing is under way, to its answer
    working: float = 0.0  # seconds of CPU of all streams: digests, compression, encryption
    trips: int = 0  # questions one after the other that a next round has to wait for

    @property
    def left(self) -> int:
        """Bytes that may differ from the replica now; where nobody knows, as many as differed in it."""
        return self.backlog + (self.content if self.untracked else 0)
