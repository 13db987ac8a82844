"""One bar per disk, on stderr; nothing when a program reads."""

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rehost.cli.output import stderr


class Bars:
    """Drawn while it is entered."""

    def __init__(self, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"))
        self._progress = Progress(*columns, TimeRemainingColumn(), console=stderr(), disable=quiet)
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, volume: int, percent: float) -> None:
        if volume not in self._tasks:
            self._tasks[volume] = self._progress.add_task(f"disk {volume}", total=100.0)
        self._progress.update(self._tasks[volume], completed=percent)
