"""A storm as a picture: hosts with the times they were away, and below them the runs of each source."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.storm.blows import Blow
from bench.storm.record import Moment, Record, Story, What

_UP, _STILL = "#9fc5d1", "#d9cde6"
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
    figure = Figure(figsize=(14, 0.9 + 0.28 * (len(hosts) + len(agents))), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[len(hosts), len(agents)])
    for row, name in enumerate(hosts):
        _draw_host(above, row, name, record)
    for row, name in enumerate(agents):
        _draw_source(below, row, name, record)
    _finish(above, hosts, "Hosts: bars while they are up")
    _finish(below, agents, "Runs of each source")
    patches = [Patch(color=colour, label=name) for name, colour in _LEGEND.items()]
    taken = Line2D([], [], color="black", marker="v", linestyle="", markersize=3, label="taken over")
    for axes, handles in ((above, _marks()), (below, [*patches, taken])):
        axes.legend(
            handles=handles, ncols=4, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1)
        )
    below.set_xlabel("minutes")
    figure.savefig(folder / "storm.svg", metadata={"Date": None})
    figure.savefig(folder / "storm.png", dpi=110)


def _draw_host(axes: Any, row: int, name: str, record: Record) -> None:
    mine = [moment for moment in record.moments if moment.unit == name]
    _bars(axes, row, _up(mine, record.settled), _UP, record)
    _bars(axes, row, _paused(mine, record.settled), _STILL, record)
    _draw_marks(axes, row, mine, record)


def _draw_source(axes: Any, row: int, name: str, record: Record) -> None:
    stories = [story for story in record.stories if story.source == name]
    for state, colour in _STATES.items():
        _bars(axes, row, _stays(stories, state, record.settled), colour, record)
    jobs = {story.job for story in stories}
    taken = [_minute(record, each.at) for each in record.takeovers if each.job in jobs]
    axes.plot(taken, [row - 0.42] * len(taken), "v", color="black", markersize=3)
    _draw_marks(axes, row, [moment for moment in record.moments if moment.unit == name], record)


def _bars(axes: Any, row: int, spans: Iterable[tuple[float, float]], colour: str, record: Record) -> None:
    """From when to when, each."""
    there = [
        (_minute(record, max(begin, record.began)), (end - max(begin, record.began)) / 60)
        for begin, end in spans
        if end > record.began
    ]
    axes.broken_barh(there, (row - 0.33, 0.66), color=colour, linewidth=0)


def _draw_marks(axes: Any, row: int, moments: list[Moment], record: Record) -> None:
    for blow, (sign, colour, _) in _MARKS.items():
        found = [_minute(record, each.at) for each in moments if _is(each, blow)]
        axes.plot(found, [row] * len(found), sign, color=colour, markersize=4, markeredgewidth=1.2)


def _is(moment: Moment, blow: Blow) -> bool:
    return moment.what is What.STRUCK and moment.detail == blow


def _paused(moments: list[Moment], end: float) -> Iterator[tuple[float, float]]:
    for place, moment in enumerate(moments):
        if _is(moment, Blow.PAUSE):
            yield moment.at, next((each.at for each in moments[place + 1 :]), end)


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
    return moment.what is What.ENDED or (moment.what is What.STRUCK and not _is(moment, Blow.RECEIVER))


def _stays(stories: Iterable[Story], state: str, end: float) -> Iterator[tuple[float, float]]:
    """From when to when jobs were in a state; a state without its second word is all that begin with it."""
    for story in stories:
        moved = [step for step in story.steps if step.state]
        for step, after in zip(moved, [*(each.at for each in moved[1:]), end], strict=True):
            if state in (step.state, step.state.partition("/")[0]):
                yield step.at, after


def _minute(record: Record, at: float) -> float:
    return (at - record.began) / 60


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
