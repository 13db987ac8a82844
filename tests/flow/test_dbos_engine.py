import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.flow import dbos_engine
from rehost.flow.dbos_engine import DbosEngine
from rehost.flow.engine import Context, InterruptedByStopError, WorkflowState
from tests.loopdisks import LoopDisks, fill

SECONDS = 60.0


class Steps:
    """Workflows that write down what they do."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.changed = threading.Condition()
        self.release = threading.Event()
        self.release.set()
        self.failure: Exception | None = None
        self.at_once = self.most_at_once = 0

    def note(self, what: str) -> str:
        with self.changed:
            self.done.append(what)
            self.changed.notify_all()
        return what

    def wait_for(self, what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: what in self.done, SECONDS), self.done

    async def listening(self, context: Context, name: str) -> None:
        await context.step("begin", lambda: self.note(f"{name} begins"))
        while not await context.receive(SECONDS):
            self.note(f"{name} heard nothing")
        await context.step("end", lambda: self.note(f"{name} ends"))

    async def heavy(self, context: Context, name: str) -> None:
        await context.step("work", lambda: self._work(name), heavy=True)

    async def held(self, context: Context) -> None:
        await context.step("hold", self._hold)
        await context.step("after", lambda: self.note("after"))

    def _work(self, name: str) -> str:
        with self.changed:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.release.wait(0.2)
        with self.changed:
            self.at_once -= 1
        return self.note(f"{name} worked")

    def _hold(self) -> str:
        self.note("holding")
        self.release.wait(SECONDS)
        if self.failure is not None:
            raise self.failure
        return self.note("held")


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def place(records: Path | str) -> Path | str:
    """Where the engine's tables are."""
    return records / "dbos.db" if isinstance(records, Path) else records


@pytest.fixture
def opened(place: Path | str, steps: Steps) -> Iterator[Callable[[], DbosEngine]]:
    engines: list[DbosEngine] = []

    def act() -> DbosEngine:
        workflows = {"listening": steps.listening, "heavy": steps.heavy, "held": steps.held}
        engines.append(DbosEngine(place, workflows))
        return engines[-1]

    yield act
    engines[-1].close()


def _until_ended(engine: DbosEngine, workflow_id: str) -> None:
    while engine.states([workflow_id])[workflow_id] is not WorkflowState.ENDED:
        threading.Event().wait(0.05)


def test_a_signal_wakes_a_workflow(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    engine = opened()
    assert engine.states(["w"])["w"] is WorkflowState.UNKNOWN
    engine.start("listening", "w", "a")
    steps.wait_for("a begins")
    assert engine.states(["w"])["w"] is WorkflowState.ACTIVE
    engine.signal("w")
    _until_ended(engine, "w")
    assert steps.done == ["a begins", "a ends"]


def test_a_signal_before_the_wait_is_not_lost(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    engine = opened()
    engine.start("listening", "w", "a")
    engine.signal("w")
    _until_ended(engine, "w")
    assert steps.done == ["a begins", "a ends"]


def test_signals_to_nobody_are_without_effect(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    engine = opened()
    engine.signal("nobody")
    engine.start("listening", "w", "a")
    engine.signal("w")
    _until_ended(engine, "w")
    engine.signal("w")


def test_the_states_of_many_are_looked_up_together(
    opened: Callable[[], DbosEngine], steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbos_engine, "MANY", 2)
    engine = opened()
    for number in range(4):
        engine.start("listening", f"w{number}", str(number))
    engine.signal("w0")
    _until_ended(engine, "w0")
    active = dict.fromkeys(("w1", "w2", "w3"), WorkflowState.ACTIVE)
    assert engine.states(["w0", "w1", "nobody", "w2", "w3"]) == active | {
        "w0": WorkflowState.ENDED, "nobody": WorkflowState.UNKNOWN,
    }  # fmt: skip
    assert engine.states([]) == {}


def test_an_id_is_started_once(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    engine = opened()
    for name in ("a", "b"):
        engine.start("listening", "w", name)
    engine.signal("w")
    _until_ended(engine, "w")
    engine.start("listening", "w", "c")
    assert steps.done == ["a begins", "a ends"]


def test_a_workflow_waits_for_room_for_its_records(disks: LoopDisks, steps: Steps) -> None:
    """The step is done when the disk is full, and what follows it when there is room again."""
    mount = disks.make(16 << 20, "ext4", ("-q", "-m", "0")).mount
    assert mount is not None
    steps.release.clear()
    with closing(DbosEngine(mount / "dbos.db", {"held": steps.held})) as engine:
        engine.start("held", "w")
        steps.wait_for("holding")
        with closing(sqlite3.connect(mount / "dbos.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ballast = fill(mount)
        steps.release.set()
        steps.wait_for("held")
        threading.Event().wait(3)
        assert "after" not in steps.done
        ballast.unlink()
        steps.wait_for("after")
        _until_ended(engine, "w")


def test_heavy_steps_come_one_at_a_time(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    steps.release.clear()
    engine = opened()
    for number in range(4):
        engine.start("heavy", f"w{number}", str(number))
    for number in range(4):
        _until_ended(engine, f"w{number}")
    assert sorted(steps.done) == [f"{number} worked" for number in range(4)]
    assert steps.most_at_once == 1


def test_a_step_that_gives_up_at_the_stop_is_done_again(
    opened: Callable[[], DbosEngine], steps: Steps
) -> None:
    steps.release.clear()
    steps.failure = InterruptedByStopError()
    engine = opened()
    engine.start("held", "w")
    steps.wait_for("holding")
    assert engine.busy
    steps.release.set()
    while engine.busy:
        threading.Event().wait(0.05)
    engine.close()
    steps.failure = None
    again = opened()
    _until_ended(again, "w")
    assert steps.done == ["holding", "holding", "held", "after"]


def test_a_closed_engine_goes_on_where_it_was(opened: Callable[[], DbosEngine], steps: Steps) -> None:
    engine = opened()
    engine.start("listening", "w", "a")
    steps.wait_for("a begins")
    engine.close()
    engine = opened()
    engine.signal("w")
    _until_ended(engine, "w")
    # The close may come between the first step and its record: then the step is done again.
    assert steps.done in (["a begins", "a ends"], ["a begins", "a begins", "a ends"])


KILLED = """
import os, sys
from contextlib import closing
from pathlib import Path
from rehost.flow import dbos_engine
from rehost.flow.dbos_engine import DbosEngine

log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(what):
    os.write(log, (what + "\\n").encode())
    return what

def second():
    note("second")
    if sys.argv[3] == "die":
        os.kill(os.getpid(), 9)
    return "second"

async def workflow(context):
    await context.step("first", lambda: note("first"))
    await context.step("second", second)
    await context.step("third", lambda: note("third"))

engine = DbosEngine(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]), {"w": workflow})
engine.start("w", "id")
while engine.states(["id"])["id"].name != "ENDED":
    pass
engine.close()
"""


OLDER = KILLED.replace("engine = ", "import rehost.flow.dbos_engine as code; code.VERSION = '0'\nengine = ")


def test_what_another_version_was_at_is_unknown_and_can_be_started(
    tmp_path: Path, place: Path | str, opened: Callable[[], DbosEngine], steps: Steps
) -> None:
    command = [sys.executable, "-W", "error", "-c", OLDER, place, tmp_path / "log", "die"]
    assert subprocess.run(command, check=False).returncode == -9
    engine = opened()
    assert engine.states(["id"])["id"] is WorkflowState.UNKNOWN
    engine.start("held", "id")
    _until_ended(engine, "id")
    assert steps.done == ["holding", "held", "after"]


def test_a_killed_process_leaves_a_workflow_that_goes_on(tmp_path: Path, place: Path | str) -> None:
    for how in ("die", "die", "live"):
        command = [sys.executable, "-W", "error", "-c", KILLED, place, tmp_path / "log", how]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == (0 if how == "live" else -9), ended.stderr
        assert ended.stderr == ""
    assert (tmp_path / "log").read_text().split() == ["first", "second", "second", "second", "third"]
