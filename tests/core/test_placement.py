from hypothesis import given
from hypothesis import strategies as st

from rehost.core.placement import Candidate, choose

CANDIDATES = st.lists(
    st.builds(Candidate, st.text("abcdef", min_size=1), st.integers(0, 50), st.integers(0, 5)),
    unique_by=lambda each: each.host,
)


@given(CANDIDATES, st.integers(0, 60))
def test_the_least_busy_of_those_with_room(candidates: list[Candidate], needed: int) -> None:
    chosen = next((each for each in candidates if each.host == choose(candidates, needed)), None)
    fitting = [each for each in candidates if each.free >= needed]
    if not candidates:
        assert chosen is None
        return
    assert chosen is not None
    if fitting:
        assert chosen in fitting
        assert chosen.running == min(each.running for each in fitting)
    else:
        assert chosen.free == max(each.free for each in candidates)


@given(CANDIDATES, st.integers(0, 60))
def test_the_order_in_which_they_come_does_not_matter(candidates: list[Candidate], needed: int) -> None:
    """Of equally large ones without room any may be said: all refuse."""
    if any(each.free >= needed for each in candidates):
        assert choose(candidates, needed) == choose(candidates[::-1], needed)
