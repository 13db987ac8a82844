"""Digests of chunks (BLAKE3, 32 bytes) and the tree over them whose root stands for a whole disk."""

from collections.abc import Iterable
from functools import lru_cache

from blake3 import blake3

SIZE = 32
SPAN = 256  # chunks whose digests are folded together: a power of two, so that they are a whole subtree
ABSENT = bytes(SIZE)  # no durable content: what a journal says of a chunk that it does not have


def of(data: bytes | bytearray | memoryview) -> bytes:
    """The digest of a chunk's content; never ABSENT in practice (a 2**-256 chance)."""
    return blake3(data).digest()


@lru_cache(maxsize=64)
def of_zeroes(length: int) -> bytes:
    """The digest of a chunk of zeroes."""
    return of(bytes(length))


def root(digests: Iterable[bytes], length: int) -> bytes:
    """The root over a disk's chunk digests in order, bound to the disk's length in bytes.

    A Merkle tree as in RFC 6962: leaves and inner nodes are told apart by their first byte, and an odd node
    is carried up unchanged. Whole subtrees are folded as they fill, so that memory is logarithmic: a disk
    has millions of chunks.
    """
    return root_of_subtrees((of(b"\0" + digest) for digest in digests), length)


@lru_cache(maxsize=64)  # on a disk that is mostly empty, nearly all of them are the same
def subtree(joined: bytes) -> bytes:
    """The tree's node over the digests of 2**k chunks from a multiple of 2**k on, or of what is left at the
    end."""
    nodes = [of(b"\0" + digest) for digest in split(joined)]
    while len(nodes) > 1:
        odd, pairs = nodes[len(nodes) & ~1 :], iter(nodes)
        nodes = [of(b"\1" + one + other) for one, other in zip(pairs, pairs, strict=False)] + odd
    return nodes[0]


def split(joined: bytes) -> list[bytes]:
    """Digests that were joined, one by one."""
    return [joined[start : start + SIZE] for start in range(0, len(joined), SIZE)]


def root_of_subtrees(nodes: Iterable[bytes], length: int) -> bytes:
    """The root as by `root`, from the subtrees of all chunks in order, each over the same 2**k chunks."""
    return of(b"\2" + length.to_bytes(8, "big") + _fold(nodes))


def _fold(nodes: Iterable[bytes]) -> bytes:
    full: list[tuple[int, bytes]] = []  # (height, node), heights descending
    for node in nodes:
        height = 0
        while full and full[-1][0] == height:
            height, node = height + 1, of(b"\1" + full.pop()[1] + node)
        full.append((height, node))
    top = full.pop()[1] if full else b""
    while full:
        top = of(b"\1" + full.pop()[1] + top)
    return top
