"""Puts the agent on a server for good (files, command, systemd unit), and takes it off again."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rehost.block import durable
from rehost.core.errors import AgentInstallError
from rehost.track import ladder

UNIT = "rehost-agent.service"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are put; tests give other folders."""

    program: Path = Path("/opt/rehost-agent")
    command: Path = Path("/usr/local/bin/rehost-agent")
    units: Path = Path("/etc/systemd/system")
    systemd: Path = Path("/run/systemd/system")  # there when systemd runs this server

    @property
    def unit(self) -> Path:
        return self.units / UNIT

    @property
    def current(self) -> Path:
        return self.program / "current"


def bundle_home() -> Path | None:
    """The folder that this process's self-contained agent was unpacked to; None: it runs from a package."""
    home = Path(sys.executable).parent.parent
    return home if (home / "BUNDLE").is_file() else None


def program(places: Places) -> list[str]:
    """The command that starts this agent again."""
    home = bundle_home()
    if home is None:
        return [sys.executable, "-m", "rehost.agent"]
    chosen = places.current if home.parent == places.program else home
    return [str(chosen / "bin/rehost-agent")]


def install_files(places: Places) -> list[str]:
    """Make this unpacked version the current one and name it `rehost-agent`; the command to start it."""
    home = bundle_home()
    if home is not None and home.parent == places.program:
        _point(places.current, home.name)
    command = program(places)
    places.command.parent.mkdir(parents=True, exist_ok=True)
    durable.write_file(places.command, f'#!/bin/sh\nexec {" ".join(command)} "$@"\n'.encode())
    places.command.chmod(0o755)
    _label(places)
    return command


def _point(link: Path, target: str) -> None:
    fresh = link.with_name(link.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _label(places: Places) -> None:
    """SELinux lets a service run only what is labelled as a program; /opt/*/bin is, by the policy."""
    tool = shutil.which("restorecon")
    if tool and places.program.is_dir():
        subprocess.run([tool, "-R", str(places.program)], check=False)


def unit_text(command: Sequence[str]) -> str:
    template = Path(__file__).with_name("rehost-agent.service").read_text()
    return template.replace("@COMMAND@", " ".join(command))


def start_service(places: Places, command: Sequence[str]) -> bool:
    """Write the unit, enable it and (re)start it; False: this server has no systemd."""
    if not places.systemd.is_dir():
        return False
    durable.write_file(places.unit, unit_text(command).encode())
    for action in (["daemon-reload"], ["enable", UNIT], ["restart", UNIT]):
        _systemctl(*action)
    _drop_old_versions(places)
    return True


def _drop_old_versions(places: Places) -> None:
    home = bundle_home()
    for entry in places.program.iterdir() if places.program.is_dir() else ():
        if home is not None and entry.is_dir() and not entry.is_symlink() and entry != home:
            shutil.rmtree(entry)


def remove(places: Places, state: Path, *, purge: bool) -> None:
    """Stop the service and remove what `install` made; with `purge` the identity as well."""
    if places.systemd.is_dir() and places.unit.exists():
        _systemctl("disable", UNIT)
        _systemctl("stop", UNIT)
    ladder.forget_all()
    places.unit.unlink(missing_ok=True)
    if places.systemd.is_dir():
        _systemctl("daemon-reload")
    places.command.unlink(missing_ok=True)
    if places.program.exists():
        shutil.rmtree(places.program)
    if purge and state.exists():
        shutil.rmtree(state)


def service_state(places: Places) -> str:
    """What systemd says of the service: active, failed, inactive, ...; empty without systemd."""
    if not places.systemd.is_dir():
        return ""
    answer = subprocess.run(["systemctl", "is-active", UNIT], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _systemctl(*arguments: str) -> None:
    answer = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AgentInstallError(
            f"systemctl {' '.join(arguments)} failed: {answer.stderr.strip() or answer.returncode}",
            "look at journalctl -xe, then install again",
        )
