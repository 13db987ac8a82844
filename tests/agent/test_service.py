"""The whole agent against the real control plane: registration, heartbeats, commands, results."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rehost.agent import control, identity
from rehost.agent.control import ControlClient, RefusedError
from rehost.agent.copy import checkpoint
from rehost.agent.identity import Identity
from rehost.agent.runner import CarryOut
from rehost.agent.service import Service
from rehost.agent.survey.host import Host
from rehost.api.wakeups import Wakeups
from rehost.cli import keyring
from rehost.core.agentapi import Assignment, AssignmentVolume, Progress, Register, RunReport
from rehost.core.errors import RehostError
from rehost.core.job import Event
from rehost.core.server import ServerState
from rehost.store.jobspec import JobSpec
from tests.agent.builders import INVENTORY, assignment
from tests.api.world import World, serving_on

WAIT = 30


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@dataclass
class Plane:
    world: World
    url: str
    ca: str

    def code(self, count: int = 1) -> str:
        return self.world.store.codes.create("one", "test", count=count)[1]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    (tmp_path / "keys").mkdir()
    (tmp_path / "plane").mkdir()
    keys = keyring.ensure(tmp_path / "keys")
    world = World.make(tmp_path / "plane")
    with serving_on(world.services, keys.server_certificate, keys.server_key) as port:
        yield Plane(world, f"https://127.0.0.1:{port}", keys.ca_pem())
    world.store.close()


def register(plane: Plane, state: Path, code: str) -> Identity:
    own = identity.prepare(state, plane.url, plane.ca)
    client = ControlClient(own.endpoint, own.ca)
    try:
        answer = client.register(Register(code, own.secret, INVENTORY, "0.1.0"))
    finally:
        client.close()
    own = replace(own, source_id=answer.source_id)
    identity.save(state, own)
    return own


@dataclass
class Agent:
    """A service in a thread; `end` is what SIGTERM does."""

    service: Service
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.service.run, args=(self.stop,))
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(WAIT)
        assert not self.thread.is_alive()


@pytest.fixture
def start(plane: Plane, tmp_path: Path) -> Iterator[Callable[[Identity, CarryOut], Agent]]:
    agents = []

    def act(own: Identity, carry_out: CarryOut) -> Agent:
        agents.append(Agent(Service(own, tmp_path / "state", lambda: INVENTORY, carry_out)))
        return agents[-1]

    yield act
    for agent in agents:
        agent.end()


class StoppedError(RehostError):
    pass


def until_stopped(run: Assignment, progress: Callable[[Progress], None], stop: threading.Event) -> RunReport:
    stop.wait(WAIT)
    raise StoppedError("stopped")


def test_a_repeated_registration_is_the_same_source_and_uses_no_second_activation(
    plane: Plane, tmp_path: Path
) -> None:
    code = plane.code(count=1)
    first = register(plane, tmp_path / "state", code)
    assert first.source_id.startswith("s-")
    assert register(plane, tmp_path / "state", code).source_id == first.source_id
    with pytest.raises(RefusedError) as refused:
        register(plane, tmp_path / "another", code)
    assert refused.value.advice


def test_a_lost_answer_to_the_registration_costs_nothing(plane: Plane, tmp_path: Path) -> None:
    """The control plane has registered the source, the agent was killed before it could write its id."""
    state, code = tmp_path / "state", plane.code(count=1)
    first = register(plane, state, code)
    identity.save(state, replace(first, source_id=""))
    assert register(plane, state, code).source_id == first.source_id


def test_heartbeats_reach_the_control_plane(
    plane: Plane, tmp_path: Path, start: Callable[..., Agent]
) -> None:
    own = register(plane, tmp_path / "state", plane.code())
    start(own, until_stopped)
    servers = plane.world.store.servers
    until(lambda: servers.get(own.source_id).system_info)
    assert '"hostname":"oak"' in servers.get(own.source_id).system_info
    assert servers.get(own.source_id).state is ServerState.AVAILABLE


def test_an_idle_agent_has_one_connection(plane: Plane, tmp_path: Path, start: Callable[..., Agent]) -> None:
    """Heartbeats go on it, too: the control plane holds one for each of ten thousand agents."""
    own = register(plane, tmp_path / "state", plane.code())
    start(own, until_stopped)
    until(lambda: plane.world.store.servers.get(own.source_id).system_info)
    until(lambda: connections_to(plane) == 1)
    time.sleep(0.5)  # it polls
    assert connections_to(plane) == 1


def connections_to(plane: Plane) -> int:
    """Those that are established."""
    port = f":{int(plane.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def test_an_assignment_is_begun_within_two_seconds_and_withdrawn_as_soon(
    plane: Plane, tmp_path: Path, start: Callable[..., Agent]
) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def copy(run: Assignment, progress: Callable[[Progress], None], stop: threading.Event) -> RunReport:
        assert (run.run, run.receiver_host) == ("r-1", "127.0.0.1")
        begun.set()
        assert stop.wait(WAIT)
        stopped.set()
        raise StoppedError("stopped")

    own = register(plane, tmp_path / "state", plane.code())
    start(own, copy)
    until(lambda: plane.world.store.servers.get(own.source_id).system_info)
    plane.world.store.assignments.assign(own.source_id, assignment())
    assert begun.wait(2)  # what the design promises, not a measurement
    plane.world.store.assignments.withdraw(own.source_id, "r-1")
    assert stopped.wait(2)


def test_an_agent_that_starts_again_goes_on_with_its_assignment(
    plane: Plane, tmp_path: Path, start: Callable[..., Agent]
) -> None:
    begun: list[Assignment] = []

    def copy(run: Assignment, progress: Callable[[Progress], None], stop: threading.Event) -> RunReport:
        begun.append(run)
        return until_stopped(run, progress, stop)

    own = register(plane, tmp_path / "state", plane.code())
    plane.world.store.assignments.assign(own.source_id, assignment())
    first = start(own, copy)
    until(lambda: len(begun) == 1)
    first.end()
    start(identity.registered(tmp_path / "state"), copy)
    until(lambda: len(begun) == 2)
    assert begun[0] == begun[1]


def test_an_agent_outlives_its_control_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away for a while, and the agent then hears of what was decided meanwhile."""
    monkeypatch.setattr(control, "LONGEST_PAUSE", 0.2)
    for name in ("keys", "plane"):
        (tmp_path / name).mkdir()
    keys = keyring.ensure(tmp_path / "keys")
    world = World.make(tmp_path / "plane")
    begun = threading.Event()

    def copy(run: Assignment, progress: Callable[[Progress], None], stop: threading.Event) -> RunReport:
        begun.set()
        return until_stopped(run, progress, stop)

    with serving_on(world.services, keys.server_certificate, keys.server_key) as port:
        here = Plane(world, f"https://127.0.0.1:{port}", keys.ca_pem())
        own = register(here, tmp_path / "state", here.code())
        agent = Agent(Service(own, tmp_path / "state", lambda: INVENTORY, copy))
        until(lambda: world.store.servers.get(own.source_id).system_info)
    world.store.assignments.assign(own.source_id, assignment())
    assert not begun.wait(0.5)
    again = replace(world.services, wakeups=Wakeups(world.store.assignments.versions))
    with serving_on(again, keys.server_certificate, keys.server_key, port):
        assert begun.wait(WAIT)
        agent.end()
    world.store.close()


def test_the_end_of_a_job_ends_what_is_kept_for_its_next_run(
    plane: Plane, tmp_path: Path, start: Callable[..., Agent]
) -> None:
    store, state = plane.world.store, tmp_path / "state"
    own = register(plane, state, plane.code())
    job = store.jobs.create("one", JobSpec(own.source_id, run_once=False, frequency=1), None, "test")
    volume = AssignmentVolume(0, "/dev/sda", 8 << 30, 256 << 10)
    kept = checkpoint.begun(job.id, [(volume, os.makedev(4095, 9))])
    checkpoint.save(state, kept)
    start(own, until_stopped)
    until(lambda: store.servers.get(own.source_id).system_info)
    time.sleep(0.5)  # it has asked what to do
    assert checkpoint.load(state) == kept
    store.jobs.apply(job.id, Event.EXPIRE, "test")
    until(lambda: not checkpoint.exists(state))


def test_a_deleted_source_server_is_told_what_to_do(
    plane: Plane, tmp_path: Path, start: Callable[..., Agent], caplog: pytest.LogCaptureFixture
) -> None:
    own = register(plane, tmp_path / "state", plane.code())
    plane.world.store.servers.remove(own.source_id)
    start(own, until_stopped)
    until(lambda: "refuses this agent" in caplog.text)
    assert "register it again" in caplog.text


def test_a_thread_that_breaks_ends_the_agent(
    plane: Plane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = register(plane, tmp_path / "state", plane.code())
    nothing = Host(tmp_path)  # no /proc there
    service = Service(own, tmp_path / "state", lambda: INVENTORY, until_stopped, nothing)
    service.run(threading.Event())  # it returns
    assert "heartbeat thread failed" in caplog.text
