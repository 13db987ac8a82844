"""What a later run has to know to ask what was written since a pass of this one began."""

from dataclasses import dataclass

from rehost.track.disk import DiskIdentity


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A complete pass over a disk. It holds as long as this very tracker is at work."""

    disk: DiskIdentity
    maps: tuple[int, ...]  # the kernel's numbers, never given twice
    links: tuple[int, ...]
    epoch: int  # with which the pass began
