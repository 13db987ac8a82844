"""The root by whole subtrees, and the difference of maps."""

from hypothesis import given
from hypothesis import strategies as st

from rehost.core import digest
from rehost.core.extent import Extent, differing, merge

extents = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda pair: Extent(pair[0], pair[0] + pair[1])),
    max_size=12,
).map(merge)


@given(st.integers(1, 70), st.sampled_from([1, 2, 4, 8, 16]))
def test_subtrees_give_the_root(chunks: int, step: int) -> None:
    digests = [digest.of(bytes([number])) for number in range(chunks)]
    nodes = [digest.subtree(b"".join(digests[start : start + step])) for start in range(0, chunks, step)]
    assert digest.root_of_subtrees(nodes, 77) == digest.root(digests, 77)


@given(extents, extents)
def test_what_differs_is_in_exactly_one(one: list[Extent], other: list[Extent]) -> None:
    def inside(found: list[Extent], place: int) -> bool:
        return any(extent.start <= place < extent.end for extent in found)

    differs = differing(one, other)
    assert differs == merge(differs)
    for place in range(80):
        assert inside(differs, place) == (inside(one, place) != inside(other, place))
