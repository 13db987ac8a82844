"""What an agent knows of a span: the node over its chunks' digests, or what it will be held against.

A node is 32 bytes. Empty: nobody knows it. 64 bytes: chunks of the span were patched, and their digests are
only known when that is durable; these are which of the chunks, and a digest over those of all others.
"""

from collections.abc import Iterable, Sequence

from rehost.core import digest
from rehost.core.digest import SIZE
from rehost.core.errors import DigestMismatchError


def is_known(node: bytes) -> bool:
    return len(node) == SIZE


def patched(digests: Sequence[bytes], chunks: Iterable[int]) -> bytes:
    """Of a span in which these chunks (from its beginning) were patched."""
    which = sum(1 << chunk for chunk in chunks)
    return which.to_bytes(SIZE, "big") + _of_others(which, digests)


def check(node: bytes, digests: Sequence[bytes]) -> None:
    """DigestMismatchError if in a span that was patched any other chunk has another digest."""
    if len(node) == 2 * SIZE and _of_others(int.from_bytes(node[:SIZE], "big"), digests) != node[SIZE:]:
        raise DigestMismatchError(
            "the replica changed where nothing was sent, while it was patched",
            "start the job again: what differs is copied; if it repeats, test the memory of both hosts",
        )


def _of_others(which: int, digests: Sequence[bytes]) -> bytes:
    return digest.of(b"".join(each for place, each in enumerate(digests) if not which >> place & 1))
