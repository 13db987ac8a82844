"""The edge to the machine that the agent runs on: what the inventory reads, and from where.

Tests put a recorded folder in the place of `/`.
"""

import functools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehost.agent.survey.parse import netlink
from rehost.core.errors import SourceReadError
from rehost.track import ladder

Read = Callable[[int, int], bytes]


def free_bytes(mount_point: str) -> int | None:
    """Bytes that a mounted file system has free; None: it went away meanwhile."""
    try:
        space = os.statvfs(mount_point)
    except OSError:
        return None
    return space.f_bfree * space.f_frsize


def dump_addresses() -> bytes:
    """The kernel's answer to a request for all network addresses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(5)
        link.sendto(netlink.REQUEST, (0, 0))
        answer = b""
        while not netlink.ends(answer):
            answer += link.recv(1 << 16)
    return answer


@functools.cache
def why_untracked() -> str:
    """Why the writes of no disk can be tracked here; empty if they can.

    Asked once: it takes a while, and what the kernel allows does not change.
    """
    return ladder.why_not()


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, or a recording of one."""

    root: Path = Path("/")
    uname: os.uname_result = os.uname()  # noqa: RUF009  constant while a kernel runs
    free_bytes: Callable[[str], int | None] = free_bytes
    dump_addresses: Callable[[], bytes] = dump_addresses
    why_untracked: Callable[[], str] = why_untracked

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def text(self, absolute: str) -> str:
        """A file's text, printable whatever it holds; empty when there is none."""
        path = self.path(absolute)
        return path.read_text("utf-8", "replace") if path.is_file() else ""

    def has_device(self, path: str) -> bool:
        return self.path(path).exists()

    @contextmanager
    def reader(self, path: str, *, anew: bool = False) -> Iterator[Read]:
        """Reads of one disk or partition; SourceReadError when the disk fails or may not be read.

        `anew` forgets first what the page cache holds of the bytes asked for: a whole disk has another one
        than its partitions. Not more than these bytes: the rest may be metadata of a busy file system.
        """
        descriptor = _open(self.path(path))

        def read(offset: int, length: int) -> bytes:
            if anew:
                os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
            return _read(descriptor, path, offset, length)

        try:
            yield read
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        advice = "run the agent as root"
        if os.geteuid() == 0:
            advice = "a container or a device policy keeps root from it: run the agent on the server itself"
        raise SourceReadError(f"{path} may not be read", advice) from error
    except OSError as error:
        raise SourceReadError(f"{path} cannot be opened: {error.strerror}", "check that disk") from error


def _read(descriptor: int, path: str, offset: int, length: int) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        raise SourceReadError(
            f"{path} cannot be read at byte {offset}: {error.strerror}",
            "check the disk (dmesg, smartctl); repair or replace it before migrating",
        ) from error
