"""How much replicas may take of the file system that they lie on.

The control plane's own records lie there too: on a file system that copies have filled to the last byte no
job could say any more that it is full.
"""

import os
from dataclasses import dataclass
from pathlib import Path

MOST_KEPT = 64 << 20  # bytes
SHARE_KEPT = 20  # a small file system keeps one part in so many


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a file system."""

    free: int
    kept: int  # of these, what is not for replicas

    @property
    def left(self) -> int:
        return max(self.free - self.kept, 0)


def room_at(path: Path) -> Room:
    """The room on the file system of a file or folder, now."""
    found = os.statvfs(path)
    kept = min(MOST_KEPT, found.f_blocks * found.f_frsize // SHARE_KEPT)
    return Room(found.f_bavail * found.f_frsize, kept)
