"""What is carried out, what is stopped, and how results get through: the runner against a real server."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from os import makedev
from pathlib import Path

import pytest

from rehost.agent import control, outcome
from rehost.agent.control import ControlClient
from rehost.agent.copy import checkpoint
from rehost.agent.copy.checkpoint import Checkpoint, VolumeCheckpoint
from rehost.agent.outcome import Outcome
from rehost.agent.reporter import Reporter
from rehost.agent.runner import Runner, at_control_plane
from rehost.core.agentapi import Assignment, AssignmentVolume, Progress, RunReport
from rehost.core.errors import FreezeError, RehostError
from tests.agent.builders import PROGRESS, REPORT, RESULT, assignment
from tests.agent.peer import CUT, Peer, peer

PATH = "/agent/v1/result"
WAIT = 30


class StoppedError(RehostError):
    pass


@dataclass
class Copies:
    """Stands for the copy: what was begun, and each one's end as the test wants it."""

    begun: list[Assignment] = field(default_factory=list)
    stopped: list[Assignment] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ends: dict[str, Callable[[], RunReport]] = field(default_factory=dict)  # by run; without: until stopped

    def __call__(
        self, run: Assignment, progress: Callable[[Progress], None], stop: threading.Event
    ) -> RunReport:
        progress(PROGRESS)
        self._note(self.begun, run)
        if run.run in self.ends:
            return self.ends[run.run]()
        assert stop.wait(WAIT)
        self._note(self.stopped, run)
        raise StoppedError("stopped")

    def _note(self, where: list[Assignment], run: Assignment) -> None:
        with self.changed:
            where.append(run)
            self.changed.notify_all()

    def wait_for(self, begun: int, stopped: int = 0) -> None:
        with self.changed:
            assert self.changed.wait_for(
                lambda: (len(self.begun), len(self.stopped)) == (begun, stopped), WAIT
            )


@dataclass
class Scene:
    plane: Peer
    state: Path
    copies: Copies
    runner: Runner | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _client: ControlClient | None = None

    def start(self) -> Runner:
        self._stop.clear()
        self._client = ControlClient(self.plane.url, self.plane.ca, timeout=5)
        self.runner = Runner(self.state, self._client, Reporter(self._client), self.copies)
        self._thread = threading.Thread(target=self.runner.loop, args=(self._stop,))
        self._thread.start()
        return self.runner

    def end(self) -> None:
        """As a killed agent: what is in memory is gone, what is in the state folder stays."""
        if self.runner and self._thread and self._client:
            self._stop.set()
            self.runner.end()
            self._client.close()
            self._thread.join(WAIT)
            assert not self._thread.is_alive()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(control, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(control, "LONGEST_PAUSE", 0.05)
    (tmp_path / "state").mkdir()
    with peer(tmp_path / "keys") as plane:
        made = Scene(plane, tmp_path / "state", Copies())
        yield made
        made.end()


def failing(error: Exception) -> Callable[[], RunReport]:
    def fail() -> RunReport:
        raise error

    return fail


def wait_until_delivered(scene: Scene) -> Outcome:
    for _ in range(WAIT * 50):
        kept = outcome.load(scene.state)
        if kept and kept.delivered:
            return kept
        threading.Event().wait(0.02)
    raise AssertionError("not delivered")


def test_a_run_is_carried_out_and_its_report_delivered(scene: Scene) -> None:
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    (asked,) = scene.plane.wait_for(PATH, 1)
    assert asked.body["run"] == "r-1"
    assert asked.body["report"]["roots"] == list(REPORT.roots)
    assert asked.body["error"] is None
    assert wait_until_delivered(scene).result == RESULT


def test_an_error_is_delivered_with_its_code_and_advice(scene: Scene) -> None:
    scene.copies.ends["r-1"] = failing(FreezeError("/srv cannot be frozen", "unmount it"))
    scene.start().want(assignment())
    (asked,) = scene.plane.wait_for(PATH, 1)
    assert asked.body["report"] is None
    assert asked.body["error"] == {
        "code": "SourceServer.FreezeFailed",
        "what": "/srv cannot be frozen",
        "advice": "unmount it",
    }


def test_a_defect_is_delivered_and_the_agent_lives_on(scene: Scene) -> None:
    scene.copies.ends["r-1"] = failing(KeyError("oops"))
    runner = scene.start()
    runner.want(assignment())
    (asked,) = scene.plane.wait_for(PATH, 1)
    assert asked.body["error"]["code"] == "InternalError"
    assert "oops" in asked.body["error"]["what"]
    wait_until_delivered(scene)
    runner.want(assignment("r-2"))
    scene.copies.wait_for(begun=2)


def test_the_same_assignment_again_leaves_the_run_alone(scene: Scene) -> None:
    runner = scene.start()
    runner.want(assignment())
    scene.copies.wait_for(begun=1)
    runner.want(assignment())
    runner.want(None)
    scene.copies.wait_for(begun=1, stopped=1)
    assert scene.plane.of(PATH) == []  # who stops a run knows that it stopped


@pytest.mark.parametrize("other", [assignment("r-2"), assignment("r-1", generation=2), assignment(port=10)])
def test_another_assignment_stops_the_run_and_is_carried_out(scene: Scene, other: Assignment) -> None:
    runner = scene.start()
    runner.want(assignment())
    scene.copies.wait_for(begun=1)
    runner.want(other)
    scene.copies.wait_for(begun=2, stopped=1)
    assert scene.copies.begun[1] == other


def test_a_run_that_ended_is_not_begun_again(scene: Scene) -> None:
    scene.copies.ends["r-1"] = lambda: REPORT
    runner = scene.start()
    runner.want(assignment())
    wait_until_delivered(scene)
    runner.want(assignment())
    runner.want(assignment("r-2"))
    scene.copies.wait_for(begun=2)
    assert [run.run for run in scene.copies.begun] == ["r-1", "r-2"]


def test_nor_after_the_agent_was_killed(scene: Scene) -> None:
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    wait_until_delivered(scene)
    scene.end()
    runner = scene.start()
    runner.want(assignment())
    runner.want(assignment("r-2"))
    scene.copies.wait_for(begun=2)
    assert [run.run for run in scene.copies.begun] == ["r-1", "r-2"]


def test_what_is_wanted_though_it_is_done_is_told_again(scene: Scene) -> None:
    """The control plane has lost it, with records that were brought back."""
    scene.copies.ends["r-1"] = lambda: REPORT
    runner = scene.start()
    runner.want(assignment())
    wait_until_delivered(scene)
    runner.want(assignment())
    first, again = scene.plane.wait_for(PATH, 2)
    assert first.body == again.body
    assert len(scene.copies.begun) == 1


def test_a_result_is_repeated_until_it_is_accepted(scene: Scene) -> None:
    scene.plane.answers[PATH] = [(503, {}), CUT, (500, {}), (200, {})]
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    wait_until_delivered(scene)
    assert len(scene.plane.of(PATH)) == 4


def test_a_result_survives_the_agent(scene: Scene) -> None:
    scene.plane.answers[PATH] = [(503, {})]
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    scene.plane.wait_for(PATH, 1)
    scene.end()
    kept = outcome.load(scene.state)
    assert kept == Outcome(RESULT, delivered=False)
    scene.plane.answers[PATH] = [(200, {})]
    scene.start()  # nothing is assigned yet
    assert wait_until_delivered(scene).result == RESULT
    assert len(scene.copies.begun) == 1


def test_a_withdrawn_run_still_delivers_its_result_but_a_new_one_goes_first(scene: Scene) -> None:
    scene.plane.answers[PATH] = [(503, {})]
    scene.copies.ends["r-1"] = lambda: REPORT
    runner = scene.start()
    runner.want(assignment())
    scene.plane.wait_for(PATH, 2)
    runner.want(None)
    scene.plane.wait_for(PATH, len(scene.plane.of(PATH)) + 2)
    runner.want(assignment("r-2"))
    scene.copies.wait_for(begun=2)


def test_a_refused_result_is_not_repeated(scene: Scene) -> None:
    scene.plane.answers[PATH] = [(404, {"code": "NotFound", "what": "no such run", "advice": ""})]
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    assert wait_until_delivered(scene).result == RESULT
    assert len(scene.plane.of(PATH)) == 1


def test_a_result_is_sent_even_if_it_cannot_be_kept(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.state.rmdir()
    scene.copies.ends["r-1"] = lambda: REPORT
    scene.start().want(assignment())
    scene.plane.wait_for(PATH, 1)
    assert "cannot be kept" in caplog.text


def test_a_result_file_of_another_version_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"old": 1}')
    assert outcome.load(tmp_path) is None
    outcome.save(tmp_path, Outcome(RESULT))
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o600


def test_the_receiver_is_at_the_control_plane_unless_said_otherwise() -> None:
    assert at_control_plane(assignment(), "192.0.2.9").receiver_host == "192.0.2.9"
    elsewhere = replace(assignment(), receiver_host="198.51.100.1")
    assert at_control_plane(elsewhere, "192.0.2.9") == elsewhere


def checkpoint_of(job: str) -> Checkpoint:
    volume = AssignmentVolume(0, "/dev/sda", 8 << 30, 256 << 10)
    return Checkpoint(job, ("ab" * 32,), (VolumeCheckpoint(volume, makedev(4095, 9), None, b"", 0, b""),))


def wait_until_forgotten(scene: Scene) -> None:
    for _ in range(WAIT * 50):
        if checkpoint.load(scene.state) is None:
            return
        threading.Event().wait(0.02)
    raise AssertionError("not forgotten")


@pytest.mark.parametrize("keep", ["", "j-2"])
def test_a_checkpoint_is_forgotten_when_its_job_is_over(scene: Scene, keep: str) -> None:
    checkpoint.save(scene.state, checkpoint_of("j-1"))
    runner = scene.start()
    runner.want(None, "j-1")
    runner.want(assignment(), "j-1")
    scene.copies.wait_for(begun=1)
    assert checkpoint.load(scene.state) == checkpoint_of("j-1")
    runner.want(None, keep)
    wait_until_forgotten(scene)


def test_a_checkpoint_stays_while_the_control_plane_says_nothing(scene: Scene) -> None:
    checkpoint.save(scene.state, checkpoint_of("j-1"))
    scene.start()
    scene.end()
    assert checkpoint.load(scene.state) == checkpoint_of("j-1")
    scene.start().want(None, "")
    wait_until_forgotten(scene)


def test_what_a_run_leaves_for_a_job_that_runs_once_is_forgotten(scene: Scene) -> None:
    def leave() -> RunReport:
        checkpoint.save(scene.state, checkpoint_of("j-1"))
        return REPORT

    scene.copies.ends["r-1"] = leave
    scene.start().want(assignment())
    wait_until_delivered(scene)
    wait_until_forgotten(scene)
