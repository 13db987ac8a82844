"""Results as a Markdown table and as JSON."""

from collections.abc import Iterator, Sequence
from statistics import mean, median, stdev

import msgspec

from bench.result import Comparison, Paired, Result

_LIKELY = 1.96  # standard errors to either side of a mean: 95 % of a normal distribution


def markdown(results: Sequence[Result]) -> str:
    return "\n".join(line for result in results for line in (*_lines(result), "")) + "\n"


def as_json(results: Sequence[Result]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(results), indent=1)


def confidence(paired: Paired) -> tuple[float, float, float]:
    """The mean loss, and where it lies at 95 %."""
    losses = paired.losses
    reach = _LIKELY * stdev(losses) / len(losses) ** 0.5
    return mean(losses), mean(losses) - reach, mean(losses) + reach


def _lines(result: Result) -> Iterator[str]:
    yield f"### {result.title}"
    yield ""
    yield f"{result.note[0].upper()}{result.note[1:]}."
    yield ""
    yield from _paired(result) if isinstance(result, Paired) else _comparison(result)


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
    yield f"| lost, mean and 95 % interval | {loss:.1%} ({least:.1%} to {most:.1%}) |"
