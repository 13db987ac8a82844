"""The agent's command line: help, usage, exit codes, errors on standard error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rehost
from rehost.agent.main import main
from tests.agent.peer import peer
from tests.loopdisks import LoopDisks

MIB = 1 << 20


def agent(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rehost.agent", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_help_leads_through_the_first_steps() -> None:
    shown = agent("--help").stdout
    for word in ("rehost code create", "rehost-agent status", "journalctl", "uninstall", "exit codes"):
        assert word in shown


@pytest.mark.parametrize("command", ["inventory", "register", "install", "run", "status", "uninstall"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: rehost-agent {command}" in capsys.readouterr().out


def test_wrong_usage_is_2() -> None:
    assert agent().returncode == 2
    assert agent("dance").returncode == 2


def test_version() -> None:
    assert agent("--version").stdout == f"rehost-agent {rehost.__version__}\n"


def test_it_is_rehost_agent_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rehost.cli.main", "agent", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"rehost-agent {rehost.__version__}\n"


def test_the_inventory_for_people_and_for_programs(disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4")
    shown = agent("inventory", "--disk", disk.path).stdout
    assert f"{disk.path}  64.0 MiB  no partition table  (system disk)" in shown
    assert f"0_0  {disk.path}  ext4  64.0 MiB" in shown
    assert str(disk.mount) in shown
    by_environment = agent("inventory", "--json", REHOST_AGENT_DISKS=disk.path).stdout
    assert [d["path"] for d in json.loads(by_environment)["disks"]] == [disk.path]


def test_an_error_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    done = agent("--state", tmp_path, "status")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "rehost-agent register --endpoint URL --ca FILE CODE" in done.stderr


def test_an_unregistered_agent_does_not_run(tmp_path: Path) -> None:
    done = agent("--state", tmp_path, "run")
    assert (done.returncode, "not registered" in done.stderr) == (78, True)


def test_registration_needs_to_know_where(tmp_path: Path) -> None:
    done = agent("--state", tmp_path, "register", "code")
    assert done.returncode == 1
    assert "rehost code create" in done.stderr
    assert not (tmp_path / "identity.json").exists()


def test_registration_keeps_the_answer_and_status_asks_with_it(tmp_path: Path, disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4", mounted=False).path
    answers = {
        "/agent/v1/register": [(200, {"source_id": "s-1", "heartbeat_rate": 30})],
        "/agent/v1/assignment": [(200, {"version": 1, "assignment": None})],
    }
    with peer(tmp_path / "keys", answers) as plane:
        state, ca = tmp_path / "state", tmp_path / "keys/ca.crt"
        done = agent(
            "--state", state, "register", "--endpoint", plane.url, "--ca", ca, "--disk", disk, "code-1"
        )
        assert (done.returncode, done.stdout) == (0, f"registered as s-1 at {plane.url}\n")
        secret = plane.asked[0].body["secret"]
        assert secret not in done.stdout + done.stderr
        shown = agent("--state", state, "status").stdout
        assert "source server:  s-1" in shown
        assert plane.of("/agent/v1/assignment")[0].authorization == f"Bearer s-1:{secret}"


def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    done = agent(
        "--state", tmp_path, "register", "--endpoint", "https://h:1", "--ca", tmp_path / "no.crt", "c"
    )
    assert (done.returncode, "no.crt cannot be read" in done.stderr) == (1, True)
