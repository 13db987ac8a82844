"""Digests of chunks (BLAKE3, 32 bytes) and the tree over them whose root stands for a whole disk."""

from collections.abc import Iterable

from blake3 import blake3

SIZE = 32
ABSENT = bytes(SIZE)  # no durable content: what a journal says of a chunk that it does not have


def of(data: bytes | bytearray | memoryview) -> bytes:
    """The digest of a chunk's content; never ABSENT in practice (a 2**-256 chance)."""
    return blake3(data).digest()


def root(digests: Iterable[bytes], length: int) -> bytes:
    """The root over a disk's chunk digests in order, bound to the disk's length in bytes.

    A Merkle tree as in RFC 6962: leaves and inner nodes are told apart by their first byte, and an odd node
    is carried up unchanged.
    """
    level = [of(b"\0" + digest) for digest in digests]
    while len(level) > 1:
        pairs = [of(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return of(b"\2" + length.to_bytes(8, "big") + (level[0] if level else b""))
