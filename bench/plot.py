"""Results as one picture: a panel for each comparison, a bar for each contender's median."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.result import Comparison, Figures, Result

_OURS, _OTHERS, _FLOOR = "#1f6f8b", "#b8b8b8", "#e0c060"


def save(results: Sequence[Result], folder: Path) -> None:
    """plot.svg and plot.png."""
    compared = [result for result in results if isinstance(result, Comparison | Figures)]
    if not compared:
        return
    mpl.rcParams["svg.hashsalt"] = "rehost"  # the same figures, the same file
    figure = Figure(figsize=(9, 1.9 * len(compared)), layout="constrained")
    axes = figure.subplots(len(compared), 1, squeeze=False)
    for panel, result in zip(axes[:, 0], compared, strict=True):
        if isinstance(result, Figures):
            _draw_figures(panel, result)
        else:
            _draw(panel, result)
    figure.savefig(folder / "plot.svg", metadata={"Date": None})
    figure.savefig(folder / "plot.png", dpi=110)


def _draw_figures(panel: Any, result: Figures) -> None:
    names, values = zip(*result.bars, strict=True)
    bars = panel.barh(names, values, color=[_OURS if "rehost" in name else _OTHERS for name in names])
    panel.bar_label(bars, [f" {value:.3g}" for value in values], padding=6)
    _finish(panel, f"{result.title}: {result.columns[result.drawn]}")


def _finish(panel: Any, title: str) -> None:
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.set_title(title, loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlim(left=0)


def _draw(panel: Any, result: Comparison) -> None:
    names = result.contenders
    medians = [result.of(name).seconds for name in names]
    panel.barh(names, medians, color=[_colour(result, name) for name in names])
    for trial in result.trials:
        panel.plot(trial.seconds, names.index(trial.contender), "|", color="black", markersize=9)
    for row, (name, seconds) in enumerate(zip(names, medians, strict=True)):
        slowest = max(trial.seconds for trial in result.trials if trial.contender == name)
        panel.annotate(f"{seconds:.2f} s", (slowest, row), (8, 0), textcoords="offset points", va="center")
    _finish(panel, result.title)


def _colour(result: Comparison, name: str) -> str:
    if name == "physical floor":
        return _FLOOR
    return _OURS if name.startswith("rehost") or result.part == "growth" else _OTHERS
