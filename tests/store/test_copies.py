import string
from dataclasses import replace

from rehost.core.agentapi import Assignment, ErrorReport, Result
from rehost.core.round import RoundKind
from rehost.store.copies import Copy
from rehost.store.store import Store
from tests.store.copying import syncing, told


def test_progress_grows_with_the_bytes_and_never_falls(store: Store, register) -> None:
    source = register().id
    job, run = syncing(store, source)
    seen = []
    for progress in [
        told(run, 0), told(run, 50), told(run, 40), told(run, 100),
        told(run, 0, RoundKind.DELTA), told(run, 0, RoundKind.FINAL),
        told(run, 100, RoundKind.FINAL),
    ]:  # fmt: skip
        assert source in store.copies.record({source: progress})
        seen.append(store.jobs.get(job).progress)
    assert seen == sorted(seen)
    assert seen[1] == seen[2] > seen[0]
    assert seen[-1] < 100
    assert '"disks":[{"disk":0,' in store.jobs.get(job).status_info
    assert store.runs.get(run).progress == told(run, 100, RoundKind.FINAL)


def test_the_words_of_many_are_kept_together_each_for_itself(store: Store, register) -> None:
    """Some are of a generation that is over, of another source's run, or of no run at all."""
    sources = [register(letter).id for letter in string.hexdigits[:6]]
    runs = [syncing(store, source)[1] for source in sources]
    words = dict(zip(sources, (told(run, 10 * place) for place, run in enumerate(runs)), strict=True))
    words[sources[0]] = replace(words[sources[0]], generation=2)
    words[sources[1]] = replace(words[sources[1]], run=runs[2])
    words[sources[3]] = replace(words[sources[3]], run="r-nobody")
    counted = frozenset({sources[2], sources[4], sources[5]})
    assert store.copies.record(words) == counted
    for source, run in zip(sources, runs, strict=True):
        assert store.runs.get(run).progress == (words[source] if source in counted else None)


def test_copies_that_are_under_way_tell_what_there_is_to_do(store: Store, register, clock) -> None:
    first, second = register("a").id, register("b").id
    job, run = syncing(store, first)
    other_job, other_run = syncing(store, second)
    store.assignments.assign(first, Assignment(run, job, 1, "ticket", "one.example", 7443, ()))
    store.assignments.assign(second, Assignment("r-another", job, 1, "ticket", "", 7443, ()))
    store.runs.record_result(second, Result(other_run, 1, error=ErrorReport("X", "what", "advice")))
    before = clock.time
    assert store.copies.under_way("") == (
        Copy(job, first, run, 1, False, "", None, ("one.example", 7443)),
        Copy(other_job, second, other_run, 1, True, "", None, None),
    )
    assert store.copies.under_way("another host") == ()
    clock.time += 1000
    assert {copy.silent_since for copy in store.copies.under_way("")} == {before}


def test_words_of_nobody_are_no_error(store: Store) -> None:
    assert store.copies.record({}) == frozenset()
    assert store.copies.under_way("") == ()
