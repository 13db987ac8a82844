"""Who may write a replica: the generation, the seal, and the lock that makes both hold between processes."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.block.durable import remove_file, write_file
from rehost.core.errors import InvalidValueError, TicketStaleError

_STOP = "nothing to do where a newer run has taken over; otherwise start the job again"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a finished replica is: who wrote it, and the root of each volume."""

    generation: int
    roots: tuple[bytes, ...]


class Fence:
    """The fence of one replica folder. Writers hold it shared for each batch."""

    def __init__(self, folder: Path) -> None:
        self._generation = folder / "generation"
        self._seal = folder / "sealed.json"
        self._lock = folder / "lock"

    def create(self) -> None:
        if not self._generation.exists():
            write_file(self._generation, b"0\n")

    @property
    def generation(self) -> int:
        return int(self._generation.read_text())

    def raise_to(self, generation: int) -> None:
        """From now on only this generation writes, and the replica is open again; durable, repeatable.

        The number is written before the lock is waited for: batches that begin now are refused already, so
        that a busy old writer cannot hold the lock for ever.
        """
        current = self.generation
        if generation < current:
            raise InvalidValueError(f"generation {generation} after {current}", _STOP)
        if generation > current:
            write_file(self._generation, b"%d\n" % generation)
        with self.exclusive():
            if self._seal.exists() and self.sealed is None:
                remove_file(self._seal)

    @property
    def sealed(self) -> Sealed | None:
        """The seal of the present generation; one of an older generation counts for nothing."""
        try:
            seal = json.loads(self._seal.read_text())
        except FileNotFoundError:
            return None
        sealed = Sealed(seal["generation"], tuple(map(bytes.fromhex, seal["roots"])))
        return sealed if sealed.generation == self.generation else None

    def seal(self, roots: tuple[bytes, ...]) -> Sealed:
        """Set the seal, with `exclusive` held."""
        sealed = Sealed(self.generation, roots)
        content = {"generation": sealed.generation, "roots": [root.hex() for root in roots]}
        write_file(self._seal, json.dumps(content, indent=1).encode())
        return sealed

    @contextmanager
    def writing(self, generation: int) -> Iterator[None]:
        """While this is held neither the generation nor the seal changes; TicketStaleError if they have."""
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
            raise TicketStaleError("the replica is gone", _STOP) from None
        if generation != current:
            raise TicketStaleError(f"generation {generation} may not write, it is {current}'s turn", _STOP)
        if self.sealed is not None:
            raise TicketStaleError("the replica is sealed", _STOP)

    @contextmanager
    def _held(self, operation: int) -> Iterator[None]:
        try:
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            raise TicketStaleError("the replica is gone", _STOP) from None
        try:
            fcntl.flock(fd, operation)
            yield
        finally:
            os.close(fd)
