"""Sectors that a source's disk does not give: where they are, and zeroes in their place if a job says so."""

import errno
import threading
from collections.abc import Callable, Sequence

from rehost.block.device import Device
from rehost.block.filters import Filter
from rehost.core.agentapi import Unreadable
from rehost.core.errors import SourceReadError
from rehost.core.extent import Extent, merge, subtract, total
from rehost.core.server import Disk
from rehost.core.units import bytes_text

PIECE = 4096  # bytes that are read alone where a larger read failed
MOST = 64 << 20  # unreadable bytes of a disk that are taken for damage of some sectors, not of the disk

# What Linux makes of a failed request: I/O error, medium error, target error, failed integrity check.
_OF_THE_MEDIUM = (errno.EIO, errno.ENODATA, errno.EREMOTEIO, errno.EILSEQ)
_ADVICE = (
    "replace or repair the disk (dmesg, smartctl), then start the job again; or have it copy zeroes in place "
    'of what cannot be read, with a list: ReplicationParameters {"unreadable":"zero"}'
)


class Salvage(Filter):
    """Reads what can be read. A failed read is repeated in small pieces; every later read tries again."""

    def __init__(self, inner: Device, disk: Disk, what: Unreadable, check: Callable[[], None]) -> None:
        """`check` raises when there is no time for another piece: a failing disk takes seconds for each."""
        super().__init__(inner)
        self._disk, self._what, self._check = disk, what, check
        self._lock = threading.Lock()
        self._good: int | None = None  # where a read succeeded last
        self.unreadable: tuple[Extent, ...] = ()  # merged, by the last read of each place

    def read_into(self, offset: int, buffer: memoryview) -> None:
        try:
            self.inner.read_into(offset, buffer)
        except SourceReadError as error:
            if not _is_of_the_medium(error):
                raise
            self._note(Extent(offset, offset + len(buffer)), self._read_pieces(offset, buffer))
        else:
            if len(buffer) >= PIECE:
                self._good = offset
            if self.unreadable:
                self._note(Extent(offset, offset + len(buffer)), [])

    def _read_pieces(self, offset: int, buffer: memoryview) -> Sequence[Extent]:
        """What of it cannot be read, and is zeroes now."""
        lost = []
        for start in range(0, len(buffer), PIECE):
            self._check()
            piece = buffer[start : start + PIECE]
            try:
                self.inner.read_into(offset + start, piece)
            except SourceReadError as error:
                if not _is_of_the_medium(error) or self._what is Unreadable.FAIL:
                    raise self._named(error, offset + start) from error
                self._check_alive(error)
                piece[:] = bytes(len(piece))
                lost.append(Extent(offset + start, offset + start + len(piece)))
        return merge(lost)

    def _check_alive(self, error: SourceReadError) -> None:
        """A disk that is gone gives nothing any more: zeroes in its place would destroy the copy."""
        if self._good is None:
            return
        try:
            self.inner.read_into(self._good, memoryview(bytearray(PIECE)))
        except SourceReadError:
            raise SourceReadError(
                f"{self._disk.path} does not answer any more: {error.what}, nor what could be read before",
                "check the disk and its cable or host (dmesg, smartctl), then start the job again",
            ) from error

    def _note(self, window: Extent, lost: Sequence[Extent]) -> None:
        with self._lock:
            known = [part for extent in self.unreadable for part in subtract(extent, [window])]
            self.unreadable = tuple(merge([*known, *lost]))
        if total(self.unreadable) > MOST:
            raise SourceReadError(
                f"more than {bytes_text(MOST)} of {self._disk.path} cannot be read: it fails as a whole",
                "rescue it onto another disk first (ddrescue), and migrate that",
            )

    def _named(self, error: SourceReadError, offset: int) -> SourceReadError:
        where = place_of(self._disk, Extent(offset, offset + PIECE)) or "in no partition"
        return SourceReadError(f"{error.what} ({where})", _ADVICE)


def place_of(disk: Disk, extent: Extent) -> str:
    """The partitions that the bytes lie in, with file system and mount point, for people; empty: none."""
    return "; ".join(
        " ".join(filter(None, (part.path, part.filesystem, part.mount and f"on {part.mount}")))
        for part in disk.partitions
        if part.start < extent.end and extent.start < part.end
    )


def _is_of_the_medium(error: SourceReadError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _OF_THE_MEDIUM
