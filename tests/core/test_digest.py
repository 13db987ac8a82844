"""Digests: the published BLAKE3 values, and the tree against its definition."""

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from rehost.core import digest

DIGESTS = st.lists(st.binary(min_size=32, max_size=32), max_size=40)


def defined_root(digests: list[bytes], length: int) -> bytes:
    """RFC 6962: a tree splits at the largest power of two below its number of leaves."""

    def tree(leaves: list[bytes]) -> bytes:
        if len(leaves) < 2:
            return leaves[0] if leaves else b""
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return blake3(b"\1" + tree(leaves[:split]) + tree(leaves[split:])).digest()

    top = tree([blake3(b"\0" + one).digest() for one in digests])
    return blake3(b"\2" + length.to_bytes(8, "big") + top).digest()


def test_published_values() -> None:
    assert digest.of(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest.of(b"abc").hex() == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


@given(st.integers(0, 5000))
def test_of_zeroes(length: int) -> None:
    assert digest.of_zeroes(length) == digest.of(bytes(length)) != digest.ABSENT


@given(DIGESTS, st.integers(0, 2**64 - 1))
def test_root_is_the_tree_of_rfc_6962(digests: list[bytes], length: int) -> None:
    assert digest.root(digests, length) == digest.root(iter(digests), length) == defined_root(digests, length)


def test_a_known_root() -> None:
    """Stored with images: it must not change from release to release."""
    root = digest.root([digest.of(b"a"), digest.of(b"b"), digest.of(b"c")], 1000)
    assert root.hex() == "c6c0c28842d1f312c4efade06bf1ca58240ffe880223efc95748800027938459"


@given(DIGESTS.filter(bool), st.data())
def test_any_other_digest_order_or_length_is_another_root(digests: list[bytes], data: st.DataObject) -> None:
    root, place = digest.root(digests, 100), data.draw(st.integers(0, len(digests) - 1))
    changed = [*digests]
    changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
    assert digest.root(changed, 100) != root
    assert digest.root(digests, 101) != root
    assert digest.root([*digests, digests[-1]], 100) != root
    assert digest.root(digests[:-1], 100) != root
    if digests != digests[::-1]:
        assert digest.root(digests[::-1], 100) != root
