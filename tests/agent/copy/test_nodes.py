"""What is held against the receiver's answer once patches are durable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.copy import nodes
from rehost.core import digest
from rehost.core.digest import SPAN
from rehost.core.errors import DigestMismatchError

chosen = st.sets(st.integers(0, SPAN - 1), min_size=1)


@given(chosen, st.integers(0, SPAN - 1), st.integers(1, SPAN))
def test_only_patched_chunks_may_have_new_digests(chunks: set[int], changed: int, count: int) -> None:
    chunks = {chunk % count for chunk in chunks}
    before = [digest.of(b"%d" % chunk) for chunk in range(count)]
    node = nodes.patched(before, chunks)
    assert not nodes.is_known(node)
    nodes.check(node, [digest.of(b"new") if chunk in chunks else before[chunk] for chunk in range(count)])
    changed %= count
    after = [*before[:changed], digest.of(b"other"), *before[changed + 1 :]]
    if changed in chunks:
        nodes.check(node, after)
    else:
        with pytest.raises(DigestMismatchError):
            nodes.check(node, after)


def test_what_was_not_patched_is_not_held_against_anything() -> None:
    for node in (b"", digest.of(b"a node")):
        nodes.check(node, [digest.of(b"any")])
    assert nodes.is_known(digest.of(b"a node"))
    assert not nodes.is_known(b"")
