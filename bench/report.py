"""Results as a Markdown table and as JSON."""

import random
from collections.abc import Iterator, Sequence
from statistics import median

import msgspec

from bench.result import Comparison, Figures, Paired, Result

_RESAMPLED = 2000


def markdown(results: Sequence[Result]) -> str:
    return "\n".join(line for result in results for line in (*_lines(result), "")) + "\n"


def as_json(results: Sequence[Result]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(results), indent=1)


def from_json(content: bytes) -> list[Result]:
    """What `as_json` wrote; a result's kind is told by the field that no other has."""
    kinds: dict[str, type[Result]] = {"trials": Comparison, "without": Paired, "rows": Figures}
    found = msgspec.json.decode(content, type=list[dict[str, object]])
    return [msgspec.convert(one, next(kinds[field] for field in one if field in kinds)) for one in found]


def confidence(paired: Paired) -> tuple[float, float, float]:
    """The median loss, and where it lies at 95 %: by bootstrap, as pairs that a load hit are no normal
    distribution."""
    losses, dice = paired.losses, random.Random(1)
    medians = sorted(median(dice.choices(losses, k=len(losses))) for _ in range(_RESAMPLED))
    return median(losses), medians[_RESAMPLED // 40], medians[-1 - _RESAMPLED // 40]


def _lines(result: Result) -> Iterator[str]:
    yield f"### {result.title}"
    yield ""
    yield f"{result.note[0].upper()}{result.note[1:]}."
    yield ""
    match result:
        case Paired():
            yield from _paired(result)
        case Figures():
            yield from _figures(result)
        case Comparison():
            yield from _comparison(result)


def _figures(result: Figures) -> Iterator[str]:
    yield f"| | {' | '.join(result.columns)} |"
    yield "|---|" + "---:|" * len(result.columns)
    for name, figures in result.rows:
        told = ["" if figure is None else f"{figure:.4g}" for figure in figures]
        yield f"| {name} | {' | '.join(told)} |"


def _comparison(result: Comparison) -> Iterator[str]:
    yield f"| | seconds | of all trials | × {result.against} | CPU seconds | MB on the wire | MB of memory |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name in result.contenders:
        one = result.of(name)
        times = sorted(trial.seconds for trial in result.trials if trial.contender == name)
        yield (
            f"| {name} | {one.seconds:.2f} | {times[0]:.2f}–{times[-1]:.2f} | {result.ratio(name):.2f}"
            f" | {one.cpu:.1f} | {one.wire / 1e6:.0f} | {one.memory / 1e6:.0f} |"
        )


def _paired(result: Paired) -> Iterator[str]:
    loss, least, most = confidence(result)
    yield f"| | {result.unit}, median |"
    yield "|---|---:|"
    yield f"| without | {median(result.without):.0f} |"
    yield f"| with | {median(result.with_):.0f} |"
    yield f"| lost, median of pairs and its 95 % interval | {loss:.1%} ({least:.1%} to {most:.1%}) |"
    if result.cost is not None:
        share = result.cost * median(result.without) / 1e9
        yield f"| nanoseconds in the tracker for each, as the kernel counts them | {result.cost:.0f} |"
        yield f"| which is, at that rate, of one CPU | {share:.1%} |"
