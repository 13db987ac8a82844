"""Who may write a replica: the generation, and the lock that makes it hold between processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.block.durable import write_file
from rehost.core.errors import InvalidValueError, TicketStaleError

EARLIER = (
    "the records are of an earlier time than this replica: stop rehost serve, run rehost restore, then start"
    " both again"
)
STOP = "nothing to do where a newer run has taken over; otherwise start the job again"


class Fence:
    """The fence of one replica folder. Writers hold it shared for each batch."""

    def __init__(self, folder: Path) -> None:
        self._generation = folder / "generation"
        self._lock = folder / "lock"

    def create(self) -> None:
        if not self._generation.exists():
            write_file(self._generation, b"0\n")

    @property
    def generation(self) -> int:
        return int(self._generation.read_text())

    def raise_to(self, generation: int) -> None:
        """From now on only this generation writes; durable, repeatable.

        The number is written before the lock is waited for: batches that begin now are refused already, so
        that a busy old writer cannot hold the lock for ever.
        """
        current = self.generation
        if generation < current:
            raise InvalidValueError(f"generation {generation} after {current}", EARLIER)
        if generation > current:
            write_file(self._generation, b"%d\n" % generation)
        with self.exclusive():
            pass

    @contextmanager
    def writing(self, generation: int) -> Iterator[None]:
        """While this is held the generation does not change; TicketStaleError if it has."""
        with self._held(fcntl.LOCK_SH):
            self.check(generation)
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """While this is held nobody writes."""
        with self._held(fcntl.LOCK_EX):
            yield

    def check(self, generation: int) -> None:
        try:
            current = self.generation
        except FileNotFoundError:
            raise TicketStaleError("the replica is gone", STOP) from None
        if generation != current:
            raise TicketStaleError(f"generation {generation} may not write, it is {current}'s turn", STOP)

    @contextmanager
    def _held(self, operation: int) -> Iterator[None]:
        try:
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            raise TicketStaleError("the replica is gone", STOP) from None
        try:
            fcntl.flock(fd, operation)
            yield
        finally:
            os.close(fd)
