"""What a run has done so far, counted by its streams and read by whoever reports it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from rehost.core.agentapi import Phase
from rehost.core.round import RoundKind


@dataclass(slots=True)
class DiskTally:
    """Bytes of one disk; the names are those of `DiskProgress`."""

    total: int = 0
    done: int = 0
    read: int = 0
    sent: int = 0
    changed: int = 0
    content: int = 0  # of these, bytes of chunks that are not zero
    reading: float = 0.0  # seconds in reads, of all streams together
    working: float = 0.0  # seconds of CPU of all streams


class Tally:
    """Safe for several threads; disks are named by their volume number."""

    def __init__(self, volumes: Iterable[int]) -> None:
        self._disks = {volume: DiskTally() for volume in volumes}
        self._lock = threading.Lock()
        self.volumes = tuple(self._disks)
        self.note = ""  # what people should know meanwhile
        self.phase = Phase.STARTING
        self.kind = RoundKind.BASELINE
        self.round = 1

    def begin(self, kind: RoundKind, number: int, totals: Mapping[int, int]) -> None:
        """A round begins that has to look at so many used bytes of each disk."""
        with self._lock:
            self.kind, self.round = kind, number
            for volume, disk in self._disks.items():
                disk.total, disk.done, disk.changed, disk.content = totals.get(volume, 0), 0, 0, 0

    def add(
        self,
        volume: int,
        *,
        done: int = 0,
        read: int = 0,
        sent: int = 0,
        changed: int = 0,
        content: int = 0,
        reading: float = 0.0,
        working: float = 0.0,
    ) -> None:
        with self._lock:
            disk = self._disks[volume]
            disk.done += done
            disk.read += read
            disk.sent += sent
            disk.changed += changed
            disk.content += content
            disk.reading += reading
            disk.working += working

    def disks(self) -> dict[int, DiskTally]:
        """A copy of all figures."""
        with self._lock:
            return {volume: replace(disk) for volume, disk in self._disks.items()}

    def whole(self) -> DiskTally:
        """The sums over all disks."""
        disks = self.disks().values()
        return DiskTally(*(sum(getattr(disk, name) for disk in disks) for name in _FIGURES))


_FIGURES = tuple(field.name for field in fields(DiskTally))
