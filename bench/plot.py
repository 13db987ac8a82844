"""Results as one picture: a panel for each comparison, a bar for each contender's median."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.result import Comparison, Result

_OURS, _OTHERS, _FLOOR = "#1f6f8b", "#b8b8b8", "#e0c060"


def save(results: Sequence[Result], folder: Path) -> None:
    """plot.svg and plot.png."""
    compared = [result for result in results if isinstance(result, Comparison)]
    if not compared:
        return
    mpl.rcParams["svg.hashsalt"] = "rehost"  # the same figures, the same file
    figure = Figure(figsize=(9, 1.9 * len(compared)), layout="constrained")
    axes = figure.subplots(len(compared), 1, squeeze=False)
    for panel, result in zip(axes[:, 0], compared, strict=True):
        _draw(panel, result)
    figure.savefig(folder / "plot.svg", metadata={"Date": None})
    figure.savefig(folder / "plot.png", dpi=110)


def _draw(panel: Any, result: Comparison) -> None:
    names = result.contenders
    medians = [result.of(name).seconds for name in names]
    bars = panel.barh(names, medians, color=[_colour(result, name) for name in names])
    for trial in result.trials:
        panel.plot(trial.seconds, names.index(trial.contender), "|", color="black", markersize=9)
    panel.bar_label(bars, [f" {seconds:.1f} s" for seconds in medians], padding=6)
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.set_title(result.title, loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlim(left=0)


def _colour(result: Comparison, name: str) -> str:
    if name == "physical floor":
        return _FLOOR
    return _OURS if name.startswith("rehost") or result.part == "growth" else _OTHERS
