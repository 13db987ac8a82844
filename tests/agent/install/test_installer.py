"""The installation as people do it: one line, the real control plane, on a distribution without Python."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rehost.agent.install import bundle, installation
from rehost.agent.install.bundle import Bundle
from rehost.agent.install.installation import Places
from rehost.agent.install.installer import render_install_script
from rehost.cli import keyring
from rehost.core.errors import InvalidValueError
from rehost.core.server import ServerState
from tests.agent.oldsystem import CACHE, OldSystem
from tests.agent.test_service import until
from tests.api.world import World, serving_on
from tests.loopdisks import LoopDisks, run

SHA256 = "ab" * 32


@dataclass
class Plane:
    world: World
    url: str
    line: str  # what a person pastes, without the code

    def code(self) -> str:
        return self.world.store.codes.create("one", "test")[1]


@pytest.fixture(scope="module")
def built() -> Bundle:
    return bundle.build(CACHE / "agent")


@pytest.fixture
def plane(tmp_path: Path, built: Bundle) -> Iterator[Plane]:
    for name in ("keys", "plane"):
        (tmp_path / name).mkdir()
    keys = keyring.ensure(tmp_path / "keys")
    world = World.make(tmp_path / "plane")
    services = replace(
        world.services,
        install_script=lambda url: render_install_script(url, keys.ca_pem(), built.sha256, built.size),
        agent_file=lambda: built.path,
    )
    with serving_on(services, keys.server_certificate, keys.server_key) as port:
        url = f"https://127.0.0.1:{port}"
        curl = f"curl -fsSk --pinnedpubkey '{keys.pin()}' {url}/agent/install.sh"
        yield Plane(world, url, f"{curl} | sh -s -- ")
    world.store.close()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldSystem]:
    yield (system := OldSystem.unpack(tmp_path_factory.mktemp("old") / "root"))
    shutil.rmtree(system.root)


@pytest.fixture
def old(unpacked: OldSystem) -> Iterator[OldSystem]:
    """Without an agent, before and after."""
    yield unpacked
    (unpacked.root / "usr/local/bin/rehost-agent").unlink(missing_ok=True)
    for folder in ("opt/rehost-agent", "var/lib/rehost-agent"):
        shutil.rmtree(unpacked.root / folder, ignore_errors=True)


def test_one_line_installs_and_registers(plane: Plane, old: OldSystem, disks: LoopDisks) -> None:
    disk = disks.make(64 << 20, "ext4", mounted=False).path
    said = old.run("sh", "-c", plane.line + f"{plane.code()} --disk {disk}")
    source = re.search(r"registered as (s-\w{20})", said)[1]
    assert "no systemd" in said
    assert f"/opt/rehost-agent/current/bin/rehost-agent run --disk {disk}" in said

    server = plane.world.store.servers.get(source)
    assert [disk.path for disk in server.inventory.disks] == [disk]
    status = old.run("rehost-agent", "status")
    assert source in status
    assert re.search(r"assigned: +nothing", status)
    assert (old.root / "var/lib/rehost-agent/identity.json").stat().st_mode & 0o777 == 0o600
    assert list((old.root / "tmp").iterdir()) == []

    again = old.run("sh", "-c", plane.line + f"{plane.code()} --disk {disk}")
    assert source in again  # the same source server

    old.run("rehost-agent", "uninstall", "--purge")
    left = [
        old.root / path for path in ("opt/rehost-agent", "usr/local/bin/rehost-agent", "var/lib/rehost-agent")
    ]
    assert [path for path in left if path.exists()] == []


def test_the_installed_agent_works_and_survives_being_killed(
    plane: Plane, old: OldSystem, disks: LoopDisks
) -> None:
    disk = disks.make(64 << 20, "ext4", mounted=False).path
    said = old.run("sh", "-c", plane.line + f"{plane.code()} --disk {disk}")
    source = re.search(r"registered as (s-\w{20})", said)[1]
    servers = plane.world.store.servers
    for _ in range(2):
        beat = servers.get(source).heartbeat
        agent = subprocess.Popen(old.command("rehost-agent", "run", "--disk", disk), stderr=subprocess.PIPE)
        until(lambda beat=beat: servers.get(source).heartbeat > beat)
        agent.kill()
        assert b"works for " + plane.url.encode() in agent.communicate()[1]
    assert servers.get(source).state is ServerState.AVAILABLE


def test_sigterm_ends_the_agent(plane: Plane, old: OldSystem, disks: LoopDisks) -> None:
    disk = disks.make(64 << 20, "ext4", mounted=False).path
    old.run("sh", "-c", plane.line + f"{plane.code()} --disk {disk}")
    agent = subprocess.Popen(old.command("rehost-agent", "run", "--disk", disk), stderr=subprocess.PIPE)
    line = agent.stderr.readline()
    assert b"works for" in line
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(30) == 0
    agent.communicate()


def test_a_code_that_is_not_good_says_what_to_do(plane: Plane, old: OldSystem, disks: LoopDisks) -> None:
    disk = disks.make(64 << 20, "ext4", mounted=False).path
    said = old.run("sh", "-c", plane.line + f"at-wrong --disk {disk}", code=1)
    assert "rehost-agent:" in said
    assert "code" in said


def test_a_code_is_needed(plane: Plane, old: OldSystem) -> None:
    said = old.run("sh", "-c", plane.line, code=1)
    assert "an activation code is missing" in said


def test_another_server_than_the_pinned_one_is_not_believed(
    plane: Plane, old: OldSystem, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = keyring.ensure(tmp_path / "other").pin()
    line = re.sub(r"'sha256//[^']*'", f"'{other}'", plane.line)
    said = old.run("sh", "-c", line + plane.code())
    assert "does not match pinned" in said
    assert not (old.root / "opt/rehost-agent").exists()


def test_a_damaged_download_is_not_run(plane: Plane, old: OldSystem) -> None:
    line = plane.line.replace("| sh", f"| sed 's/^sha256=.*/sha256={SHA256}/' | sh")
    said = old.run("sh", "-c", line + plane.code(), code=1)
    assert "its checksum is another one" in said
    assert not (old.root / "opt/rehost-agent").exists()


def test_a_script_that_was_cut_off_does_nothing(plane: Plane, old: OldSystem, tmp_path: Path) -> None:
    text = render_install_script(plane.url, "CA", SHA256)
    for lines in range(0, text.count("\n"), 7):
        (tmp_path / "cut.sh").write_text("\n".join(text.split("\n")[:lines]))
        done = subprocess.run(
            ["sh", tmp_path / "cut.sh", "code"], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        ("https://192.0.2.1:8443", "rehost:8443:192.0.2.1:8443"),
        ("https://[2001:db8::1]:8443", "rehost:8443:[2001:db8::1]:8443"),
        ("https://control.example", "rehost:443:control.example:443"),
    ],
)
def test_curl_goes_to_the_address_and_checks_the_name(endpoint: str, wanted: str, tmp_path: Path) -> None:
    text = render_install_script(endpoint, "-----BEGIN CERTIFICATE-----\nAA==", SHA256, 9_700_000)
    assert f"--connect-to '{wanted}'" in text
    assert "(10 MB)" in text
    assert not re.search(r"@[A-Z0-9]+@", text)
    (tmp_path / "install.sh").write_text(text)
    run("sh", "-n", tmp_path / "install.sh")


def test_nothing_foreign_gets_into_the_script() -> None:
    for endpoint in ("https://a$(id):1", "https://a'b:1", "https://a b:1", "http://a:1", "https://a;b:1"):
        with pytest.raises(InvalidValueError):
            render_install_script(endpoint, "CA", SHA256)
    with pytest.raises(InvalidValueError):
        render_install_script("https://a:1", "CA", "not a digest")
    with pytest.raises(InvalidValueError):
        render_install_script("https://a:1", "it's", SHA256)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """Its own checker says so; the program exists for it."""
    (tmp_path / "rehost-agent.service").write_text(installation.unit_text(["/bin/true", "run"]))
    run("systemd-analyze", "verify", "--man=no", tmp_path / "rehost-agent.service")
    text = installation.unit_text(["/opt/rehost-agent/current/bin/rehost-agent", "run"])
    assert "ExecStart=/opt/rehost-agent/current/bin/rehost-agent run\n" in text
    assert "KillMode=process\n" in text  # the watchdog has to outlive the agent


def test_an_agent_from_a_package_is_started_by_its_interpreter(tmp_path: Path) -> None:
    places = Places(tmp_path / "opt", tmp_path / "bin/rehost-agent", tmp_path / "units", tmp_path / "no")
    command = installation.install_files(places)
    shown = run(places.command, "--version")
    assert command[1:] == ["-m", "rehost.agent"]
    assert shown.startswith("rehost-agent ")
    assert not installation.start_service(places, command)  # no systemd there
    installation.remove(places, tmp_path / "state", purge=True)
    assert not places.command.exists()
    assert os.listdir(tmp_path / "bin") == []
