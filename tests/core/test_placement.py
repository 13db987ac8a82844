from hypothesis import given
from hypothesis import strategies as st

from rehost.core.placement import Candidate, choose, fitting, share

CANDIDATES = st.lists(
    st.builds(Candidate, st.text("abcdef", min_size=1), st.integers(0, 50), st.integers(0, 5)),
    unique_by=lambda each: each.host,
)


@given(CANDIDATES, st.integers(0, 60))
def test_the_least_busy_of_those_with_room(candidates: list[Candidate], needed: int) -> None:
    host = choose(fitting(candidates, needed))
    chosen = next((each for each in candidates if each.host == host), None)
    roomy = [each for each in candidates if each.free >= needed]
    if not candidates:
        assert chosen is None
        return
    assert chosen is not None
    if roomy:
        assert chosen in roomy
        assert chosen.running == min(each.running for each in roomy)
    else:
        assert chosen.free == max(each.free for each in candidates)


@given(CANDIDATES, st.integers(0, 60))
def test_the_order_in_which_they_come_does_not_matter(candidates: list[Candidate], needed: int) -> None:
    """Of equally large ones without room any may be said: all refuse."""
    if any(each.free >= needed for each in candidates):
        assert choose(fitting(candidates, needed)) == choose(fitting(candidates[::-1], needed))


@given(CANDIDATES, st.integers(1, 5))
def test_never_one_that_runs_as_many_as_it_may(candidates: list[Candidate], most: int) -> None:
    free = {each.host for each in candidates if each.running < most}
    chosen = choose(candidates, most)
    assert chosen in free if free else chosen is None


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 50))
def test_shares_are_level_and_together_all(running: list[int], orphans: int) -> None:
    shares = [
        share(each, [*running[:place], *running[place + 1 :]], orphans) for place, each in enumerate(running)
    ]
    assert sum(shares) >= orphans
    level = max(each + mine for each, mine in zip(running, shares, strict=True) if mine) if any(shares) else 0
    assert level <= -(-(sum(running) + orphans) // len(running))
