"""A real server whose root file system is frozen, and whose agent is killed or stopped right then."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from demo import source_machine
from demo.source_server import CONTROL_PLANE, SourceServer
from rehost.agent.install import bundle
from rehost.block.volume import VolumeShape
from rehost.core.agentapi import Assignment, AssignmentVolume, RunOptions
from rehost.machine import accel
from tests.agent import agent_process
from tests.agent.agent_process import Outcome, Task
from tests.receive.site import CHUNK, Site

pytestmark = [pytest.mark.vm, pytest.mark.lab, pytest.mark.timeout(1200)]

DEADLINE = 20.0  # seconds of a freeze
DISK = "/dev/sda"  # has the root file system, and with it the agent and all that it runs


class Guest:
    """The source machine with an agent that waits inside each freeze; what it says lies in /run, a tmpfs."""

    def __init__(self, server: SourceServer, site: Site) -> None:
        self._server, self._site = server, site

    def install(self, cache: Path) -> None:
        self._server.send(bundle.build(cache / "agent").path, "/root/rehost-agent")
        self._server.send(Path(agent_process.__file__), "/root/agent_process.py")
        unpack = "REHOST_AGENT_HOME=/opt/rehost-agent sh /root/rehost-agent --version"
        self._server.run(f"{unpack} && mkfifo /run/said-to-agent", timeout=300)
        self._server.run(
            "nohup sleep 100000 </dev/null >/dev/null 2>&1 3<>/run/said-to-agent &"
        )  # keeps it open

    def start_agent(self) -> None:
        shape = self._site.shapes[0]
        volumes = (AssignmentVolume(0, DISK, shape.size, shape.chunk),)
        options = RunOptions(freeze_deadline=DEADLINE, compress_level=1)
        assignment = Assignment(
            "r-1", "job", 1, self._site.ticket(), CONTROL_PLANE, self._site.port, volumes, options
        )
        ca = (self._site.data / "keys" / "server.crt").read_text()
        task = msgspec.json.encode(Task(assignment, ca, waits_frozen=True)).decode()
        self.run(
            f"rm -f /run/agent-says; nohup /opt/rehost-agent/*/bin/python3 /root/agent_process.py '{task}'"
            " </run/said-to-agent >/run/agent-says 2>/run/agent-errors & echo $! >/run/agent-pid"
        )

    def run(self, command: str) -> str:
        return self._server.run(command).decode()

    def said(self) -> list[str]:
        return self.run("cat /run/agent-says").splitlines()

    def is_frozen(self, times: int) -> bool:
        """Whether its agent has frozen it for the `times`-th time; what it said last if that is no freeze."""
        said = self.said()
        assert set(said) <= {"frozen"}, said
        errors = self.run("cat /run/agent-errors")
        assert not errors, errors
        return len(said) == times

    def signal(self, name: str) -> None:
        self.run(f"kill -{name} $(cat /run/agent-pid)")

    def go_on(self) -> None:
        self.run("echo go >/run/said-to-agent")

    def write(self) -> None:
        """Write to the root file system, in the background."""
        self.run(
            "rm -f /run/written; (echo x >/root/probe && touch /run/written) >/dev/null 2>&1 </dev/null &"
        )

    def has_written(self) -> bool:
        return bool(self.run("ls /run/written 2>/dev/null || true").strip())


@pytest.fixture
def guest(tmp_path: Path, cache: Path) -> Iterator[Guest]:
    source = source_machine.build(cache)
    site = Site(tmp_path / "data", [VolumeShape(0, source_machine.SYSTEM_SIZE, CHUNK)])
    site.raise_generation(1)
    site.start()
    try:
        with SourceServer(source, tmp_path, (site.port,), accel.choose(cache)) as server:
            server.wait_for_login()
            made = Guest(server, site)
            made.install(cache)
            yield made
    finally:
        site.stop()


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "this did not happen in time"
        time.sleep(0.5)
    return time.monotonic() - began


def test_an_agent_that_dies_or_hangs_inside_the_freeze_of_its_own_root(guest: Guest) -> None:
    guest.start_agent()
    wait_for(lambda: guest.is_frozen(1), 600)
    guest.write()
    time.sleep(2)
    assert not guest.has_written(), "the root file system is frozen"
    guest.signal("KILL")
    assert wait_for(guest.has_written, 30) < DEADLINE / 2, "at once, not at the deadline"

    guest.start_agent()
    wait_for(lambda: guest.is_frozen(1), 600)
    guest.signal("STOP")
    guest.write()
    time.sleep(2)
    assert not guest.has_written(), "the root file system is frozen"
    wait_for(guest.has_written, 3 * DEADLINE)
    guest.signal("CONT")
    guest.go_on()
    wait_for(lambda: guest.is_frozen(2), 120)  # the torn round is repeated
    guest.go_on()
    wait_for(lambda: len(guest.said()) == 3, 120)
    outcome = msgspec.json.decode(guest.said()[-1], type=Outcome)
    assert outcome.report is not None, outcome.error
    part = outcome.report.consistency[0]
    assert (part.device, part.way) == ("0_0", "frozen")
