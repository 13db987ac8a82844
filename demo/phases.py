"""What the demo says while it runs: each phase with its time, and on a terminal a picture that moves."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rehost.cli import jobview

EACH = 10.0  # seconds between lines where there is no terminal to draw on
STEPS = {
    "Preparing": "prepare the copy",
    "Syncing": "copy both disks",
    "sealing": "seal the replica",
    "converting": "convert the image to virtio hardware",
    "boot check": "boot the image, cut off from any network",
    "Cleaning": "clean up",
}
"""What a running job does, by its phase or else by its BusinessStatus."""


class Phases:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.durations: list[tuple[str, float]] = []
        self.begin = time.monotonic()

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Times what happens inside."""
        start = time.monotonic()
        self._line("…", title)
        try:
            with _Picture(self.console, title):
                yield
        except BaseException:
            self._line("✗", title, time.monotonic() - start)
            raise
        self.add(title, time.monotonic() - start)

    @contextmanager
    def job(self) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Times the steps of a job, as far as the looks at it tell, and shows each look."""
        now, start, picture = "", time.monotonic(), _Picture(self.console)

        def look(job: Mapping[str, Any]) -> None:
            nonlocal now, start
            business = job.get("BusinessStatus", "")
            step = STEPS.get(jobview.status_info(job).get("phase", ""), STEPS.get(business, ""))
            if step != now:
                if now:
                    self.add(now, time.monotonic() - start)
                if step:
                    self._line("…", step)
                now, start = step, time.monotonic()
            picture.show(job)

        with picture:
            yield look

    def add(self, title: str, seconds: float) -> None:
        self.durations.append((title, seconds))
        self._line("✓", title, seconds)

    def total(self) -> float:
        return time.monotonic() - self.begin

    def _line(self, mark: str, title: str, seconds: float | None = None) -> None:
        took = "" if seconds is None else f"  {seconds:.1f} s"
        self.console.print(Text(f"{jobview.seconds_text(self.total()):>5}  {mark} {title}{took}"))


class _Picture:
    """A spinner, with a job's state below it; lines now and then where nobody can see a picture move."""

    def __init__(self, console: Console, title: str = "") -> None:
        self._console = console
        self._spinner = Spinner("dots", Text(title))
        self._live = Live(self._spinner, console=console, transient=True, refresh_per_second=8)
        self._said = 0.0

    def __enter__(self) -> None:
        if self._console.is_terminal:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, job: Mapping[str, Any]) -> None:
        if self._console.is_terminal:
            self._live.update(Group(self._spinner, jobview.live(job)))
        elif time.monotonic() - self._said > EACH:
            self._said = time.monotonic()
            self._console.print(jobview.live(job))
