"""A storm as a picture: hosts with the times they were away, and below them the runs of each source."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.storm.blows import Blow
from bench.storm.record import Moment, Record, Step, What

_UP, _STILL = "#9fc5d1", "#d9d9d9"
_MARKS = {
    Blow.HOST: ("x", "#b2182b", "killed"),
    Blow.PROCESS: ("x", "#b2182b", "killed"),
    Blow.AGENT: ("x", "#b2182b", "killed"),
    Blow.DATABASE: ("x", "#b2182b", "killed"),
    Blow.RECEIVER: ("|", "#d6711b", "its receiver killed"),
    Blow.PAUSE: ("s", "#7a4fa3", "stands still"),
}
_STATES = {
    "Running/Preparing": "#e0c060",
    "Running/Syncing": "#1f6f8b",
    "Running/Processing": "#67a56b",
    "Running/Cleaning": "#67a56b",
    "InError": "#b2182b",
}
_LEGEND = {"preparing": "#e0c060", "syncing": "#1f6f8b", "processing": "#67a56b"}


def save(record: Record, folder: Path) -> None:
    """storm.svg and storm.png."""
    mpl.rcParams["svg.hashsalt"] = "rehost"  # the same figures, the same file
    hosts = [name for name, role in record.units if role != "agent"]
    agents = [name for name, role in record.units if role == "agent"]
    figure = Figure(figsize=(12, 0.9 + 0.28 * (len(hosts) + len(agents))), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[len(hosts), len(agents)])
    for row, name in enumerate(hosts):
        _draw_host(above, row, name, record)
    for row, name in enumerate(agents):
        _draw_source(below, row, name, record)
    _finish(above, hosts, "Hosts: bars while they are up")
    _finish(below, agents, "Runs of each source")
    patches = [Patch(color=colour, label=name) for name, colour in _LEGEND.items()]
    taken = Line2D([], [], color="black", marker="v", linestyle="", markersize=4, label="taken over")
    for axes, handles in ((above, _marks()), (below, [*patches, taken])):
        axes.legend(
            handles=handles, ncols=4, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1)
        )
    below.set_xlabel("minutes")
    figure.savefig(folder / "storm.svg", metadata={"Date": None})
    figure.savefig(folder / "storm.png", dpi=110)


def _draw_host(axes: Any, row: int, name: str, record: Record) -> None:
    mine = [moment for moment in record.moments if moment.unit == name]
    spans = list(_up(mine, record.settled))
    axes.broken_barh([_span(record, *span) for span in spans], (row - 0.35, 0.7), color=_UP)
    _draw_marks(axes, row, mine, record)


def _draw_source(axes: Any, row: int, name: str, record: Record) -> None:
    for story in record.stories:
        if story.source == name:
            for state, begin, end in _stays(story.steps, record.settled):
                colour = _STATES.get(state.split("/")[0] if state.startswith("InError") else state)
                if colour:
                    axes.broken_barh([_span(record, begin, end)], (row - 0.3, 0.6), color=colour)
            taken = [_minute(record, each.at) for each in record.takeovers if each.job == story.job]
            axes.plot(taken, [row - 0.42] * len(taken), "v", color="black", markersize=4)
    _draw_marks(axes, row, [moment for moment in record.moments if moment.unit == name], record)


def _draw_marks(axes: Any, row: int, moments: list[Moment], record: Record) -> None:
    for moment in moments:
        if moment.what is What.STRUCK:
            sign, colour, _ = _MARKS[Blow(moment.detail)]
            axes.plot(_minute(record, moment.at), row, sign, color=colour, markersize=5, markeredgewidth=1.4)


def _up(moments: list[Moment], end: float) -> Iterator[tuple[float, float]]:
    """From when it did its work until it was struck. What was not started was there before."""
    since = None if moments and moments[0].what is What.STARTED else 0.0
    for moment in moments:
        if moment.what in (What.READY, What.GOES_ON):
            since = moment.at
        elif since is not None and _goes_away(moment):
            yield since, moment.at
            since = None
    if since is not None:
        yield since, end


def _goes_away(moment: Moment) -> bool:
    return moment.what is What.ENDED or (moment.what is What.STRUCK and moment.detail != Blow.RECEIVER)


def _stays(steps: tuple[Step, ...], end: float) -> Iterator[tuple[str, float, float]]:
    """In which state a job was from when to when."""
    moved = [step for step in steps if step.state]
    for step, after in zip(moved, [*(each.at for each in moved[1:]), end], strict=True):
        yield step.state, step.at, after


def _minute(record: Record, at: float) -> float:
    return (at - record.began) / 60


def _span(record: Record, begin: float, end: float) -> tuple[float, float]:
    first = max(begin, record.began)
    return _minute(record, first), max(0.0, end - first) / 60


def _finish(axes: Any, names: list[str], title: str) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title(title, loc="left", fontsize=10)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(left=0)


def _marks() -> list[Line2D]:
    """One for each kind of mark."""
    known = {label: (sign, colour) for sign, colour, label in _MARKS.values()}
    return [
        Line2D([], [], color=colour, marker=sign, linestyle="", markersize=5, label=label)
        for label, (sign, colour) in known.items()
    ]
