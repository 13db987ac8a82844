"""The commands of a person, against a control plane that runs."""

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehost.agent.control import ControlClient
from rehost.cli import datafolder, keyring, main
from rehost.core.agentapi import ErrorReport, Register, Result
from rehost.core.job import JobState
from tests.cli.serving import ROOT, Agent, ControlPlane

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[ControlPlane]:
    started = ControlPlane(tmp_path_factory.mktemp("data"), cache)
    started.start()
    yield started
    started.close()


@pytest.fixture
def rehost(plane: ControlPlane, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> "Rehost":
    key = json.loads((plane.data / "first-access-key.json").read_text())
    monkeypatch.setenv("REHOST_ENDPOINT", key["Endpoint"])
    monkeypatch.setenv("REHOST_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("REHOST_ACCESS_KEY_SECRET", key["AccessKeySecret"])
    monkeypatch.setenv("REHOST_CA", key["CaFile"])
    return Rehost(capsys)


class Rehost:
    """Runs commands in this process; `out` and `err` are the last one's."""

    def __init__(self, capsys: Capture) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str, exits: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            main.main(words)
        self.out, self.err = self._capsys.readouterr()
        assert end.value.code == exits, self.err
        return self.out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


def test_a_source_server_is_listed_and_shown(plane: ControlPlane, rehost: Rehost) -> None:
    source = Agent(plane).source
    assert source in rehost("source", "list")
    assert source in [server["SourceId"] for server in rehost.json("source", "list")]
    assert "web1" in rehost("source", "show", source)
    assert "compares all used blocks" in rehost("source", "show", source)
    assert rehost.json("source", "show", source)["Platform"] == "Debian"


def test_a_listing_has_all_pages(plane: ControlPlane, rehost: Rehost) -> None:
    Agent(plane)
    before = len(rehost.json("source", "list"))
    _register(plane, 51)  # a page has 50
    assert len(rehost.json("source", "list")) == before + 51


def test_what_is_not_there_ends_with_exit_code_3(rehost: Rehost) -> None:
    rehost("source", "show", "s-00000000000000000000", exits=3)
    assert "rehost source list" in rehost.err
    rehost("job", "show", "j-00000000000000000000", exits=3)
    rehost("job", "start", "j-00000000000000000000", exits=3)


def test_a_job_is_created_shown_and_deleted(plane: ControlPlane, rehost: Rehost) -> None:
    job = rehost("job", "create", Agent(plane).source, "--name", "first", "--image-name", "golden").strip()
    assert job.startswith("j-")
    shown = rehost.json("job", "show", job)
    assert (shown["Status"], shown["Name"], shown["ImageName"]) == ("Ready", "first", "golden")
    assert job in rehost("job", "list")
    rehost("job", "delete", job)
    rehost("job", "show", job, exits=3)


def test_a_job_that_runs_again_says_when_and_what_it_keeps(plane: ControlPlane, rehost: Rehost) -> None:
    job = rehost("job", "create", Agent(plane).source, "--every", "12", "--keep", "2").strip()
    assert "12 h after each run; the newest 2 images are kept" in rehost("job", "show", job)
    rehost("job", "delete", job)


def test_a_job_is_changed_stopped_and_tells_what_happened(plane: ControlPlane, rehost: Rehost) -> None:
    agent = Agent(plane)
    wishes = ("--every", "12", "--at", "2000-01-01T00:00:00Z")
    rehost("job", "create", agent.source, *wishes, exits=1)
    assert "ScheduledStartTime" in rehost.err
    job = rehost("job", "create", agent.source, "--every", "12", "--valid-until", "never").strip()
    changes = ("--name", "changed", "--every", "6", "--keep", "1")
    assert rehost.json("job", "modify", job, *changes) == {"JobId": job}
    shown = rehost.json("job", "show", job)
    assert (shown["Name"], shown["Frequency"], shown["MaxNumberOfImageToKeep"]) == ("changed", 6, 1)
    assert "ValidTime" not in shown
    rehost("job", "cutover", job, exits=1)
    assert "possible from Waiting" in rehost.err
    rehost("job", "stop", job, exits=1)
    rehost("job", "start", job)
    agent.wait_for_assignment()
    rehost("job", "stop", job)
    assert f"rehost job start {job} goes on" in rehost.err
    rehost("job", "modify", job, "--image-name", "late", exits=1)
    assert "ImageName can be changed while a job is Ready" in rehost.err
    happened = rehost.json("job", "events", job)
    assert [(event["Event"], event["State"]) for event in happened] == [
        ("CREATE", "Ready"),
        ("MODIFY", ""),
        ("START", "Running/Preparing"),
        ("PREPARED", "Running/Syncing"),
        ("STOP", "Stopped/Syncing"),
    ]
    assert "Stopped/Syncing" in rehost("job", "events", job)
    rehost("job", "delete", job)


def test_a_job_that_waits_is_cut_over(plane: ControlPlane, rehost: Rehost) -> None:
    agent = Agent(plane)
    job = rehost("job", "create", agent.source, "--every", "12", "--start").strip()
    _copy(agent)
    assert rehost.json("job", "watch", job)["Status"] == "Waiting"
    rehost("job", "cutover", job)
    plane.until_state(job, JobState.FINISHED)
    rehost("job", "delete", job)


def test_wishes_that_the_api_refuses_say_which_and_why(plane: ControlPlane, rehost: Rehost) -> None:
    source = Agent(plane).source
    rehost("job", "create", source, "--parameters", '{"compress": 1}', exits=1)
    assert "compress" in rehost.err
    assert "compress_level" in rehost.err
    rehost("job", "create", source, "--parameters", "{", "--json", exits=1)
    assert json.loads(rehost.err)["code"] == "InvalidReplicationParameters.Malformed"


def test_a_job_is_watched_until_its_image_is_there(plane: ControlPlane, rehost: Rehost) -> None:
    agent = Agent(plane)
    job = rehost("job", "create", agent.source, "--start").strip()
    copying = threading.Thread(target=_copy, args=(agent,))
    copying.start()
    watched = rehost.json("job", "watch", job)
    copying.join()
    assert watched["Status"] == "Finished"
    assert watched["ImageId"] == rehost.json("job", "show", job)["ImageId"]


def test_a_job_that_fails_ends_watching_with_exit_code_4(plane: ControlPlane, rehost: Rehost) -> None:
    agent = Agent(plane)
    job = rehost("job", "create", agent.source, "--start").strip()
    failing = threading.Thread(target=_fail, args=(agent,))
    failing.start()
    rehost("job", "watch", job, exits=4)
    failing.join()
    assert "SourceDisk.ReadFailed" in rehost.err
    assert "replace the disk" in rehost.err
    assert "sector 7" in rehost("job", "show", job)
    rehost("job", "delete", job)  # else its source takes no other job


def test_a_key_works_until_it_is_disabled(
    plane: ControlPlane, rehost: Rehost, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(plane.data)
    key = rehost.json("key", "create", "--data", data)
    monkeypatch.setenv("REHOST_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("REHOST_ACCESS_KEY_SECRET", key["AccessKeySecret"])
    rehost("source", "list")
    assert key["AccessKeyId"] in rehost("key", "list", "--data", data)
    assert key["AccessKeySecret"] not in rehost.out
    rehost("key", "disable", key["AccessKeyId"], "--data", data)
    rehost("source", "list", exits=1)
    assert "Specified access key is disabled." in rehost.err
    rehost("key", "disable", "LTAInone", "--data", data, exits=3)


def test_a_wrong_secret_is_refused(rehost: Rehost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHOST_ACCESS_KEY_SECRET", "wrong")
    rehost("source", "list", "--json", exits=1)
    assert json.loads(rehost.err)["code"] == "SignatureDoesNotMatch"


def test_the_line_of_a_code_downloads_the_installer(plane: ControlPlane, rehost: Rehost) -> None:
    """By the real curl: the pin is the server's, and a wrong one is refused before anything is sent."""
    line = rehost("code", "create", "--data", str(plane.data)).strip()
    download, code = line.split(" | sh -s -- ")
    script = subprocess.run(["sh", "-c", download], capture_output=True, text=True, check=True).stdout
    assert script.startswith("#!/bin/sh")
    assert len(code) == 32
    wrong = download.replace("sha256//", "sha256//AAAA")
    assert subprocess.run(["sh", "-c", wrong], capture_output=True).returncode != 0
    assert "0 of 1" in rehost("code", "list", "--data", str(plane.data))


def test_a_code_needs_to_know_where_sources_find_the_control_plane(
    plane: ControlPlane, rehost: Rehost
) -> None:
    made = rehost.json(
        "code", "create", "--endpoint", "https://migrate.example:8443", "--data", str(plane.data)
    )
    assert "https://migrate.example:8443/agent/install.sh" in made["install"]
    rehost("code", "create", "--endpoint", "migrate.example", "--data", str(plane.data), exits=2)
    assert "https://HOST:PORT" in rehost.err


def test_a_code_is_disabled_and_deleted(plane: ControlPlane, rehost: Rehost) -> None:
    made = rehost.json("code", "create", "--name", "ended", "--count", "3", "--days", "7")
    (shown,) = [code for code in rehost.json("code", "list") if code["AccessTokenId"] == made["id"]]
    assert (shown["Count"], shown["TimeToLiveInDays"], shown["Status"]) == ("3", "7", "activated")
    rehost("code", "disable", made["id"])
    assert "unactivated" in rehost("code", "list")
    rehost("code", "delete", made["id"])
    assert made["id"] not in rehost("code", "list")
    rehost("code", "delete", made["id"], exits=3)
    rehost("code", "create", "--days", "91", exits=2)
    assert "90" in rehost.err


def test_a_source_server_is_renamed_tagged_and_grouped(plane: ControlPlane, rehost: Rehost) -> None:
    source, other = _register(plane, 2)
    rehost("source", "rename", source, "shop-web", "--description", "Sells things.")
    rehost("tag", "add", source, other, "--tag", "team=web", "--tag", "new")
    group = rehost("workgroup", "create", "shop", "--description", "All of it.", "--tag", "team=web").strip()
    rehost("workgroup", "add", group, source, other)
    assert {s["SourceId"] for s in rehost.json("source", "list", "--workgroup", group)} == {source, other}
    shown = rehost("source", "show", source)
    for text in ("shop-web", "Sells things.", "new, team=web", group):
        assert text in shown
    assert "UnRelated: 2" in rehost("workgroup", "list")
    assert source in rehost("workgroup", "show", group)
    assert {row["ResourceId"] for row in rehost.json("tag", "list", "--tag", "team=web")} == {
        source,
        other,
        group,
    }
    rehost("tag", "remove", source, "--key", "new")
    rehost("tag", "remove", other, "--all")
    assert [s["SourceId"] for s in rehost.json("source", "list", "--tag", "team")] == [source]
    rehost("workgroup", "delete", group, exits=1)
    assert "disassociate" in rehost.err
    rehost("workgroup", "remove", group, source, other)
    rehost("workgroup", "rename", group, "market")
    assert rehost.json("workgroup", "show", group)["Name"] == "market"
    rehost("workgroup", "delete", group)
    rehost("workgroup", "show", group, exits=3)
    rehost("tag", "add", "m-1", "--tag", "k", exits=2)
    rehost("tag", "remove", source, exits=2)


def test_any_action_is_called_by_its_name(plane: ControlPlane, rehost: Rehost) -> None:
    source = Agent(plane).source
    found = json.loads(rehost("api", "DescribeSourceServers", "--SourceId", source, "--PageSize", "50"))
    assert found["SourceServers"]["SourceServer"][0]["SourceId"] == source
    made = json.loads(
        rehost("api", "CreateReplicationJob", "--RegionId", "local", "--SourceId", source, "--Tag.1.Key", "k")
    )
    assert json.loads(rehost("api", "DescribeReplicationJobs", "--Tag.1.Key=k"))["TotalCount"] == 1
    assert "RequestId" in json.loads(rehost("api", "DeleteReplicationJob", "--JobId", made["JobId"]))
    rehost("api", "StartReplicationJob", "--JobId", "j-1", "--json", exits=3)
    assert json.loads(rehost.err)["code"] == "InvalidJobId.NotFound"


def test_a_control_plane_that_does_not_answer(
    rehost: Rehost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REHOST_ENDPOINT", "https://127.0.0.1:1")
    rehost("source", "list", exits=1)
    assert "https://127.0.0.1:1 cannot be reached" in rehost.err


def test_a_certificate_of_another_authority_is_not_trusted(
    rehost: Rehost, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = keyring.ensure(tmp_path)
    monkeypatch.setenv("REHOST_CA", str(other.ca_certificate))
    rehost("source", "list", exits=1)
    assert "CaFile" in rehost.err


def test_a_profile_file_that_lacks_something(
    rehost: Rehost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"Endpoint": "https://127.0.0.1:1"}')
    rehost("source", "list", "--profile-file", str(profile), exits=2)
    assert "AccessKeyId (REHOST_ACCESS_KEY_ID)" in rehost.err
    rehost("source", "list", "--profile-file", str(tmp_path / "none"), exits=2)
    assert "first-access-key.json" in rehost.err


def test_a_folder_that_is_no_data_folder(rehost: Rehost, tmp_path: Path) -> None:
    rehost("key", "list", "--data", str(tmp_path), exits=1)
    assert "rehost serve" in rehost.err


def test_help_leads_through_a_first_migration(rehost: Rehost) -> None:
    text = " ".join(rehost("--help").split())
    for command in ("rehost serve", "rehost code create", "rehost job create", "rehost image boot"):
        assert command in text


@pytest.mark.parametrize("words", [("job", "show"), ("job", "jump"), ("serve", "--nonsense")])
def test_wrong_usage_ends_with_exit_code_2(rehost: Rehost, words: tuple[str, ...]) -> None:
    rehost(*words, exits=2)


def test_only_the_agent_is_there_without_the_packages_of_the_server(tmp_path: Path) -> None:
    """As after `pip install rehost`: the server's packages are hidden from the interpreter."""
    hidden = tmp_path / "typer.py"
    hidden.write_text("raise ModuleNotFoundError('No module named typer', name='typer')\n")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "rehost.cli.main", *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True)

    agent = run("agent", "--version")
    assert (agent.returncode, agent.stdout.split()[0]) == (0, "rehost-agent")
    other = run("source", "list")
    assert other.returncode == 1
    assert "pip install 'rehost[server]'" in other.stderr


def _register(plane: ControlPlane, count: int) -> list[str]:
    inventory = Agent(plane).inventory
    store = datafolder.open_store(plane.data)
    _, code = store.codes.create("default", "many", count)
    made = [
        store.servers.register(Register(code, secrets.token_hex(32), inventory, "0.1")).id
        for _ in range(count)
    ]
    store.close()
    return made


def _copy(agent: Agent) -> None:
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)


def _fail(agent: Agent) -> None:
    assignment = agent.wait_for_assignment()
    error = ErrorReport("SourceDisk.ReadFailed", "/dev/sda cannot be read at sector 7", "replace the disk")
    ca = (agent.plane.data / "keys" / "ca.crt").read_text()
    client = ControlClient(agent.plane.endpoint, ca, f"Bearer {agent.source}:{'a' * 64}")
    client.result(Result(assignment.run, assignment.generation, error=error))
    client.close()
