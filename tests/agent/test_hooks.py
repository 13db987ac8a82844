"""Scripts around a freeze: real ones, around freezes of real disks, whatever happens to agent and scripts."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rehost.agent import hooks
from rehost.agent.copy.run import Settings
from rehost.agent.hooks import POST_THAW, PRE_FREEZE, Debt, scripts_of, settle
from rehost.core.agentapi import RunOptions
from rehost.core.errors import FreezeError, HookError, RunStoppedError
from tests.agent.copy.test_run_interrupted import agent, wait_for
from tests.agent.copying import Lab, lab
from tests.agent.scripts import Scripts
from tests.loopdisks import LoopDisk, LoopDisks, run
from tests.processes import line_of

MIB = 1 << 20


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    return disks.make(60 * MIB, "ext4")


def settings(scripts: Scripts, while_frozen: Callable[[], None] = lambda: None, **more: object) -> Settings:
    return Settings(hooks=scripts.place, while_frozen=while_frozen, **more)  # type: ignore[arg-type]


def test_what_a_script_writes_before_the_freeze_is_in_the_copy(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    scripts.add(PRE_FREEZE, "20-second")
    scripts.add(PRE_FREEZE, "10-first", f"echo flushed >{disk.mount}/flushed; echo said; env >{tmp_path}/env")
    scripts.add(POST_THAW, "10-last", f"echo back >{disk.mount}/back")  # it waits while anything is frozen
    frozen = []
    with lab(tmp_path, disk) as site:
        report = site.carry_out(settings(scripts, lambda: frozen.append(scripts.ran)))
        assert run("debugfs", "-R", "cat /flushed", site.replica()).endswith("flushed")
    assert frozen == [["pre-freeze 10-first", "pre-freeze 20-second"]]
    assert scripts.ran == [*frozen[0], "post-thaw 10-last"]
    told = [(hook.stage, hook.name, hook.outcome, hook.output) for hook in report.hooks]
    assert told[0] == ("pre-freeze", "10-first", "done", "said")
    assert told[2] == ("post-thaw", "10-last", "done", "")
    assert {
        "REHOST_JOB=job",
        "REHOST_RUN=r-1",
        f"REHOST_DISKS={disk.path}",
        "REHOST_STAGE=pre-freeze",
    } <= set((tmp_path / "env").read_text().splitlines())
    assert not scripts.place.debt.exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo the database is down >&2; exit 3", "10-fails: exit code 3: the database is down"),
        ("sleep 60", "10-fails: not done within 1 s: it said nothing"),
        ("kill -9 $$", "10-fails: ended by signal 9"),
    ],
)
def test_a_script_that_fails_keeps_the_server_from_being_frozen(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path, text: str, what: str
) -> None:
    scripts = Scripts(tmp_path, timeout=1.0)
    scripts.add(PRE_FREEZE, "10-fails", text)
    scripts.add(PRE_FREEZE, "20-not-reached")
    scripts.add(POST_THAW, "10-always")
    with lab(tmp_path, disk) as site, pytest.raises(HookError, match=what) as told:
        site.carry_out(settings(scripts, lambda: pytest.fail("frozen")))
    assert "nothing was frozen" in told.value.advice
    assert scripts.ran == ["pre-freeze 10-fails", "post-thaw 10-always"]
    assert not scripts.place.debt.exists()


def test_what_a_script_leaves_running_is_not_waited_for(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    scripts.add(PRE_FREEZE, "10-session", "sleep 300 & echo $! >" + str(tmp_path / "pid"))
    scripts.add(POST_THAW, "10-session", f"kill $(cat {tmp_path}/pid) && echo ended")
    with lab(tmp_path, disk) as site:
        report = site.carry_out(settings(scripts))
    assert [hook.output for hook in report.hooks] == ["", "ended"]
    assert report.hooks[0].seconds < 60


def test_scripts_after_the_thaw_run_when_the_freeze_was_in_vain(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    scripts.add(PRE_FREEZE, "10")
    scripts.add(POST_THAW, "10", "sleep 0.2")
    mount = disk.mount
    assert mount is not None

    def late() -> None:
        (mount / "marker").write_bytes(b"x")  # waits for the watchdog

    with lab(tmp_path, disk, options=RunOptions(freeze_deadline=2.0)) as site, pytest.raises(FreezeError):
        site.carry_out(settings(scripts, late, freeze_attempts=2))
    assert scripts.ran == ["pre-freeze 10", "post-thaw 10"] * 2
    assert not scripts.place.debt.exists()


def test_a_run_that_is_stopped_ends_the_script_and_runs_those_after_the_thaw(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    stop = threading.Event()
    scripts.add(PRE_FREEZE, "10", "sleep 300")
    scripts.add(POST_THAW, "10")

    def stop_soon() -> None:
        wait_for(lambda: bool(scripts.ran))
        stop.set()

    thread = threading.Thread(target=stop_soon)
    thread.start()
    with lab(tmp_path, disk) as site, pytest.raises(RunStoppedError):
        site.carry_out(settings(scripts), stop=stop)
    thread.join()
    assert scripts.ran == ["pre-freeze 10", "post-thaw 10"]


def test_a_script_that_fails_after_the_thaw_is_reported_and_keeps_nothing_up(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    scripts.add(POST_THAW, "10", "echo no; exit 1")
    scripts.add(POST_THAW, "20")
    with lab(tmp_path, disk) as site:
        report = site.carry_out(settings(scripts))
    assert [(hook.name, hook.outcome) for hook in report.hooks] == [("10", "exit code 1"), ("20", "done")]


def tried(site: Lab, scripts: Scripts, number: int) -> None:
    """What happens to an agent inside the freeze; nobody starts another one."""
    with agent(site, waits_frozen=True, hooks=scripts.place) as process:
        assert line_of(process) == b"frozen\n"
        assert scripts.ran == ["pre-freeze 10"]
        process.send_signal(number)
        wait_for(lambda: scripts.ran == ["pre-freeze 10", "post-thaw 10"])
        wait_for(lambda: not scripts.place.debt.exists())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_watchdog_runs_them_when_the_agent_cannot(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path, number: int
) -> None:
    scripts.add(PRE_FREEZE, "10")
    scripts.add(POST_THAW, "10", f"touch {disk.mount}/thawed")
    with lab(tmp_path, disk, options=RunOptions(freeze_deadline=3.0)) as site:
        tried(site, scripts, number)
    assert disk.mount is not None
    assert (disk.mount / "thawed").exists()


def test_a_script_that_outlives_its_agent_is_ended_before_those_after_the_thaw(
    scripts: Scripts, disk: LoopDisk, tmp_path: Path
) -> None:
    scripts.add(PRE_FREEZE, "10", f"sleep 8; echo late >>{scripts.log}")
    scripts.add(POST_THAW, "10")
    with lab(tmp_path, disk) as site, agent(site, hooks=scripts.place) as process:
        wait_for(lambda: bool(scripts.ran))
        time.sleep(0.5)
        process.kill()
        wait_for(lambda: not scripts.place.debt.exists())
    time.sleep(8)
    assert scripts.ran == ["pre-freeze 10", "post-thaw 10"]


def test_only_one_process_settles_what_is_owed(scripts: Scripts) -> None:
    scripts.add(POST_THAW, "10", "sleep 0.5")
    hooks.owe(Debt(scripts.place, {"PATH": "/usr/bin:/bin"}))
    command = [sys.executable, "-m", "rehost.agent.hooks", str(scripts.place.debt)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert scripts.ran == ["post-thaw 10"]
    assert settle(scripts.place.debt) is None


def test_only_executables_with_plain_names_are_scripts(scripts: Scripts) -> None:
    for name in ("b", "a_1", "A-2"):
        scripts.add(PRE_FREEZE, name)
    scripts.add(PRE_FREEZE, "c", mode=0o644)
    for name in ("d.dpkg-old", "e~", ".f"):
        scripts.add(PRE_FREEZE, name)
    (scripts.place.folder / PRE_FREEZE / "folder").mkdir()
    assert [path.name for path in scripts_of(scripts.place, PRE_FREEZE)] == ["A-2", "a_1", "b"]
    assert scripts_of(scripts.place, POST_THAW) == []


def test_a_script_that_is_no_program_is_told(scripts: Scripts, disk: LoopDisk, tmp_path: Path) -> None:
    scripts.add(PRE_FREEZE, "10")
    (scripts.place.folder / PRE_FREEZE / "10").write_text("no interpreter")
    with lab(tmp_path, disk) as site, pytest.raises(HookError, match="cannot be started: Exec format error"):
        site.carry_out(settings(scripts))


def test_a_server_without_scripts_writes_nothing(scripts: Scripts, disk: LoopDisk, tmp_path: Path) -> None:
    with lab(tmp_path, disk) as site:
        assert site.carry_out(settings(scripts)).hooks == ()
    assert not scripts.place.debt.parent.exists()
