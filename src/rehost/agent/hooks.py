"""Scripts of the source server's owner around each freeze: hooks.d/pre-freeze and hooks.d/post-thaw.

What has to run afterwards is written down before the first script begins (a debt), and is settled once: by
the agent, by the next agent, or by the watchdog, which runs this module. Why: docs/decisions/0014.

    python -m rehost.agent.hooks DEBT
"""

import fcntl
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from rehost.agent import script
from rehost.block import durable
from rehost.core.agentapi import Assignment, HookReport
from rehost.core.errors import HookError

FOLDER = Path("/etc/rehost/hooks.d")
DEBT = "hooks-owed.json"  # in the agent's state folder
PRE_FREEZE, POST_THAW = "pre-freeze", "post-thaw"
_NAME = re.compile(r"[A-Za-z0-9_-]+")  # those that run-parts takes: no backups, no files of package managers
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where hooks are and what they may take."""

    folder: Path
    debt: Path  # the file that says what is owed
    timeout: float = 30.0  # seconds for each script
    timeout_of_all: float = 120.0  # seconds for all of one stage


@dataclass(frozen=True, slots=True)
class Debt:
    """Scripts after the thaw that have to run, whatever happens."""

    place: Place
    environment: dict[str, str]
    running: int = 0  # process id of a script of the stage before
    since: str = ""  # when that started: ids are given again


class Hooks:
    """For the freezes of one run. A context manager around one freeze: leaving runs what is owed."""

    def __init__(self, place: Place | None, assignment: Assignment, check: Callable[[], None]) -> None:
        """`place` None: there are none. `check` raises what ends the run."""
        self._place = place
        self._environment = environment_of(assignment)
        self._check = check
        self._owed = False
        self.reports: list[HookReport] = []

    @property
    def afterwards(self) -> tuple[str, ...]:
        """The command by which another process settles what is owed."""
        place = self._place
        return (sys.executable, "-m", "rehost.agent.hooks", str(place.debt)) if place else ()

    def before(self) -> None:
        """Run the scripts of pre-freeze; HookError if one fails, and then nothing may be frozen."""
        if self._place is None or not any(scripts_of(self._place, s) for s in (PRE_FREEZE, POST_THAW)):
            return
        debt = Debt(self._place, self._environment)
        owe(debt)
        self._owed = True
        for report in run_stage(debt, PRE_FREEZE, self._check):
            self.reports.append(report)
            if report.outcome != "done":
                raise HookError(
                    f"{self._place.folder}/{PRE_FREEZE}/{report.name}: {report.outcome}: "
                    f"{report.output[-300:] or 'it said nothing'}",
                    "nothing was frozen; correct the script on the source server, then start the job again",
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._owed or self._place is None:
            return
        self._owed = False
        reports = settle(self._place.debt)
        if reports is None:
            reports = [HookReport(POST_THAW, "*", "run by the watchdog, as the agent was held up", 0.0, "")]
        self.reports += reports


def environment_of(assignment: Assignment) -> dict[str, str]:
    """All that scripts get; not the agent's own, which would have them use its libraries."""
    return {
        "PATH": _PATH,
        "REHOST_JOB": assignment.job,
        "REHOST_RUN": assignment.run,
        "REHOST_DISKS": " ".join(volume.disk_path for volume in assignment.volumes),
    }


def scripts_of(place: Place, stage: str) -> list[Path]:
    """In the order of their names."""
    folder = place.folder / stage
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        path for path in found if _NAME.fullmatch(path.name) and path.is_file() and os.access(path, os.X_OK)
    ]


def run_stage(debt: Debt, stage: str, check: Callable[[], None]) -> Iterator[HookReport]:
    end = time.monotonic() + debt.place.timeout_of_all
    environment = debt.environment | {"REHOST_STAGE": stage}
    for path in scripts_of(debt.place, stage):
        seconds = min(debt.place.timeout, max(0.0, end - time.monotonic()))
        ended = script.run(path, environment, seconds, check, lambda pid: _note(debt, stage, pid))
        level = logging.INFO if ended.ok else logging.ERROR
        log.log(
            level, "hook %s/%s: %s, %.1f s\n%s", stage, path.name, ended.outcome, ended.seconds, ended.output
        )
        yield HookReport(stage, path.name, ended.outcome, ended.seconds, ended.output)


def settle(path: Path) -> list[HookReport] | None:
    """Run what is owed, if no other process does it; None when nothing is owed (any more).

    A script of pre-freeze that outlived its agent is ended first: what it did later, nothing would undo.
    """
    with _alone(path):
        debt = _read(path)
        if debt is None:
            return None
        if debt.since and script.started_at(debt.running) == debt.since:
            script.kill_group(debt.running)
        reports = list(run_stage(debt, POST_THAW, _nothing))
        path.unlink()
        return reports


def _nothing() -> None:
    pass


def _note(debt: Debt, stage: str, pid: int) -> None:
    if stage == PRE_FREEZE:
        owe(replace(debt, running=pid, since=script.started_at(pid)))


def owe(debt: Debt) -> None:
    """Write a debt down, durably; HookError when that cannot be done."""
    try:
        debt.place.debt.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.write_file(debt.place.debt, msgspec.json.encode(debt, enc_hook=str), 0o600)
    except OSError as error:
        raise HookError(
            f"{debt.place.debt} cannot be written: {error.strerror}",
            "it says which hooks have to run after the thaw; make room there, then start the job again",
        ) from error


def _read(path: Path) -> Debt | None:
    def made(kind: type, value: object) -> object:
        return kind(value)

    with suppress(FileNotFoundError):
        return msgspec.json.decode(path.read_bytes(), type=Debt, dec_hook=made)
    return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    if not path.parent.is_dir():
        yield
        return
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> None:
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("0")  # the watchdog's is not for scripts
    settle(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
