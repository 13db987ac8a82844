"""What copies disks; each kind in a file of its own."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from bench.place import Place
from bench.processes import wait_until_childless
from tests.loopdisks import LoopDisk


class Contender(Protocol):
    """One way to copy a disk, and the copy that it made last."""

    @property
    def name(self) -> str: ...

    def receiving(self, place: Place, disk: LoopDisk) -> AbstractContextManager[Sequence[str]]:
        """The receiving end is up at `place.far`; the command, to be run at `place.near`, copies the disk and
        ends once the copy is durable. What is there from the last time is brought up to date."""

    def clear(self) -> None:
        """Take the copy away: the next one is a full one."""


@contextmanager
def serving(place: Place, port: int, *command: str) -> Iterator[None]:
    """A server that listens at `place.far`; it is reaped at the end, so that its CPU seconds are counted."""
    process = subprocess.Popen(place.far.command(*command))
    try:
        _wait_until_up(place, port)
        yield
        wait_until_childless(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_up(place: Place, port: int) -> None:
    probe = f"import socket; socket.create_connection(({place.far.address!r}, {port}), 1)"
    for _ in range(50):
        if (
            subprocess.run(
                place.near.command("python3", "-c", probe), check=False, stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens at {place.far.address} port {port}")
