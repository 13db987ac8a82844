"""What parts of the bench find, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.trial import Trial


@dataclass(frozen=True, slots=True)
class Comparison:
    """Trials of several contenders at the same work."""

    part: str
    title: str
    note: str  # what exactly was done
    against: str  # the contender that ratios are relative to
    trials: tuple[Trial, ...]

    @property
    def contenders(self) -> list[str]:
        return list(dict.fromkeys(trial.contender for trial in self.trials))

    def of(self, contender: str) -> Trial:
        """The median of each figure."""
        found = [trial for trial in self.trials if trial.contender == contender]
        return Trial(
            contender,
            median(trial.seconds for trial in found),
            median(trial.cpu for trial in found),
            int(median(trial.wire for trial in found)),
            max(trial.memory for trial in found),
        )

    def ratio(self, contender: str) -> float:
        return self.of(contender).seconds / self.of(self.against).seconds


@dataclass(frozen=True, slots=True)
class Paired:
    """Pairs of figures, without and with something; more is better."""

    part: str
    title: str
    note: str
    unit: str
    without: tuple[float, ...]
    with_: tuple[float, ...]
    cost: float | None  # nanoseconds of CPU for one unit, measured apart

    @property
    def losses(self) -> Sequence[float]:
        """The share lost, of each pair."""
        return [1 - b / a for a, b in zip(self.without, self.with_, strict=True)]


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows of named figures; the bars of the picture are one column."""

    part: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]  # None: it has no such figure
    drawn: int  # the column

    @property
    def bars(self) -> list[tuple[str, float]]:
        found = [(name, figures[self.drawn]) for name, figures in self.rows]
        return [(name, figure) for name, figure in found if figure is not None]


Result = Comparison | Paired | Figures
