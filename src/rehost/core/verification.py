"""What comparing a disk with the digests of its run has shown, and what that says of an image. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rehost.core.extent import Extent, intersect, total
from rehost.core.server import Disk, device_name


@dataclass(frozen=True, slots=True)
class Comparison:
    """One disk, compared chunk by chunk."""

    volume: int
    size: int  # bytes of the disk when it was copied
    present: int  # bytes of what was compared with it
    read: int  # bytes that were read for it; the others are free, or holes
    differing: tuple[Extent, ...]  # of chunks that differ, merged
    root: bytes  # over the digests of what was found

    @property
    def equal(self) -> bool:
        return not self.differing and self.present >= self.size

    @property
    def differing_bytes(self) -> int:
        return total(self.differing)


class Finding(StrEnum):
    """What is wrong with a volume of a sealed run: its content and its journal vouch for each other."""

    EQUAL = "equal"
    DATA = "data damaged"
    JOURNAL = "journal damaged"
    BOTH = "data and journal damaged"


def judge(found: Comparison, journal_root: bytes, sealed_root: bytes) -> Finding:
    """The sealed root tells which side is right where content and journal do not agree."""
    journal_is_right = journal_root == sealed_root
    if journal_is_right:
        return Finding.EQUAL if found.equal else Finding.DATA
    whole = found.root == sealed_root and found.present >= found.size
    return Finding.JOURNAL if whole else Finding.BOTH


def places(extent: Extent, disk: Disk | None) -> Iterator[str]:
    """The partitions that an extent touches: `0_1 /dev/sda2 ext4 /`; none if it lies in no known one."""
    if disk is None:
        return
    for partition in disk.partitions:
        if intersect([Extent(partition.start, partition.end)], extent):
            words = (device_name(disk, partition), partition.path, partition.filesystem, partition.mount)
            yield " ".join(word for word in words if word)
