"""A storm in figures, and what is wrong with it."""

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from bench.storm.blows import Blow
from bench.storm.record import Record, Story, What

_WORDS = {
    Blow.HOST: "hosts killed, all processes",
    Blow.PROCESS: "hosts killed, first process only",
    Blow.RECEIVER: "receivers killed",
    Blow.PAUSE: "hosts that stood still for longer than their lease",
    Blow.AGENT: "agents killed",
    Blow.DATABASE: "crashes of PostgreSQL",
}


def wrong(record: Record) -> list[str]:
    """Empty: as it has to be."""
    found = [f"left over: {each}" for each in record.leftovers]
    for proof in record.proofs:
        found += [f"image {proof.image} of {proof.source}: {fault}" for fault in proof.faults]
    for story in record.stories:
        found += [f"job {story.job} of {story.source} failed: {each}" for each in failures(story)]
    return found


def failures(story: Story) -> list[str]:
    return [step.detail for step in story.steps if step.state.startswith("InError")]


def markdown(record: Record) -> str:
    lines = ["| what | |", "|---|---:|", *(f"| {name} | {figure} |" for name, figure in _rows(record))]
    return "\n".join(lines) + "\n"


def _rows(record: Record) -> Iterator[tuple[str, str]]:
    yield "minutes of strikes", f"{(record.calm - record.began) / 60:.1f}"
    for blow, words in _WORDS.items():
        yield words, str(record.struck(blow))
    yield "all strikes", str(sum(map(record.struck, Blow)))
    yield "processes that ended by themselves", str(_count(record, What.ENDED))
    yield "jobs", str(len(record.stories))
    yield "runs finished", str(sum(story.runs for story in record.stories))
    yield "jobs that failed", str(sum(bool(failures(story)) for story in record.stories))
    waits = sorted(each.seconds for each in record.takeovers if each.seconds is not None)
    yield "takeovers from hosts that were away", str(len(waits))
    if waits:
        yield "s from the strike until then, median and slowest", f"{median(waits):.1f}, {waits[-1]:.1f}"
    yield "takeovers from hosts that were up again", str(len(record.takeovers) - len(waits))
    yield "longest time without a step of any job, s", f"{_longest_stall(record):.1f}"
    yield "s from the last strike until all was finished", f"{record.settled - record.calm:.0f}"
    yield "calls of the SDK, of them failed", f"{record.calls}, {len(record.failures)}"
    yield (
        "images, of them verified",
        f"{len(record.proofs)}, {sum(not each.faults for each in record.proofs)}",
    )
    dropped = sum(step.what == "IMAGE DELETED" for story in record.stories for step in story.steps)
    yield "older images that their jobs did not keep", str(dropped)
    yield "left over", str(len(record.leftovers))


def _longest_stall(record: Record) -> float:
    steps = sorted(step.at for story in record.stories for step in story.steps)
    return max((after - before for before, after in pairwise(steps)), default=0.0)


def _count(record: Record, what: What) -> int:
    return sum(moment.what is what for moment in record.moments)
