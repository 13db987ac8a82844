"""On which host a job's volumes are made: pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rehost.core.server import Inventory


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that takes jobs."""

    host: str
    free: int  # bytes
    running: int  # jobs


def bytes_of(inventory: Inventory | None) -> int:
    """What a replica of a source's disks takes."""
    return sum(disk.used or disk.size for disk in inventory.disks) if inventory else 0


def fitting(candidates: Iterable[Candidate], needed: int) -> tuple[Candidate, ...]:
    """Those with room for so many bytes, the one with the most first.

    Where none has room it is the one with the most alone, whose job says then what is missing.
    """
    roomiest = sorted(candidates, key=lambda each: (-each.free, each.host))
    return tuple(each for each in roomiest if each.free >= needed) or tuple(roomiest[:1])


def choose(candidates: Sequence[Candidate], most: int = 0) -> str | None:
    """The one that runs the fewest jobs, and fewer than `most` (0: however many), then the one with the most
    room. None: there is none."""
    able = [each for each in candidates if not most or each.running < most]
    return min(able, key=lambda each: (each.running, -each.free, each.host)).host if able else None


def share(running: int, others: Sequence[int], orphans: int) -> int:
    """How many jobs of a dead host one takes over that runs so many, where the others that can run so many.

    All come to the same level, and together they take all.
    """
    level = -(-(running + sum(others) + orphans) // (1 + len(others)))
    return max(0, level - running)
