"""The agents' API over real HTTP."""

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rehost.agent.control import ControlClient, RefusedError
from rehost.core import agentapi, clones
from rehost.core.agentapi import (
    Assignment,
    AssignmentVolume,
    DiskProgress,
    ErrorReport,
    Heartbeat,
    Phase,
    Progress,
    Register,
    Result,
    RunReport,
)
from rehost.core.job import Event
from rehost.core.round import RoundKind
from rehost.store.jobspec import JobSpec
from rehost.store.serverrow import SourceServer
from rehost.store.store import Store
from tests.api.signed import call
from tests.api.world import ACCOUNT, INVENTORY, Certificates, World, serving_on

ASSIGNMENT = Assignment(
    "r-1", "j-1", 1, "ticket", "", 4433, (AssignmentVolume(0, "/dev/sda", 1 << 30, 1 << 18),)
)


class Agent:
    def __init__(self, world: World, port: int, server: SourceServer | None = None) -> None:
        self.world, self.port = world, port
        self.credentials = f"{server.id}:{world.secrets[server.id]}" if server else ""
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        status, body = self.fetch(method, path, None if value is None else msgspec.json.encode(value))
        return status, json.loads(body)

    def fetch(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = self.headers | ({"Authorization": f"Bearer {self.credentials}"} if self.credentials else {})
        try:
            connection.request(method, f"/agent{path}", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def agent(world: World, port: int) -> Agent:
    return Agent(world, port, world.source())


@pytest.fixture
def source(agent: Agent) -> str:
    return agent.credentials.partition(":")[0]


def test_registration_is_repeatable_and_uses_one_activation(world: World, port: int) -> None:
    agent = Agent(world, port)
    _, code = world.store.codes.create(ACCOUNT, "c", count=1)
    asked = Register(code, "ab" * 32, INVENTORY, "0.1.0")
    status, first = agent.ask("POST", "/v1/register", asked)
    assert (status, first["heartbeat_rate"]) == (200, 30)
    assert agent.ask("POST", "/v1/register", asked) == (200, first)
    status, refused = agent.ask("POST", "/v1/register", Register(code, "cd" * 32, INVENTORY, "0.1.0"))
    assert (status, refused["code"]) == (403, "ActivationCode.Invalid")
    assert "used up" in refused["what"]
    assert refused["advice"]
    servers = call(world, "DescribeSourceServers")[1]["SourceServers"]["SourceServer"]
    assert [server["SourceId"] for server in servers] == [first["source_id"]]


def test_expired_disabled_and_unknown_codes(world: World, port: int) -> None:
    agent = Agent(world, port)
    record, code = world.store.codes.create(ACCOUNT, "c")
    world.store.codes.disable(ACCOUNT, record.id)
    assert (
        "disabled" in agent.ask("POST", "/v1/register", Register(code, "ab" * 32, INVENTORY, "0"))[1]["what"]
    )
    _, code = world.store.codes.create(ACCOUNT, "c", days=1)
    world.clock.ahead = 2 * 86400
    assert (
        "expired" in agent.ask("POST", "/v1/register", Register(code, "ab" * 32, INVENTORY, "0"))[1]["what"]
    )
    assert (
        "not known" in agent.ask("POST", "/v1/register", Register("no", "ab" * 32, INVENTORY, "0"))[1]["what"]
    )
    assert agent.ask("POST", "/v1/register", Register("no", "short", INVENTORY, "0"))[0] == 400


def test_heartbeat(agent: Agent, world: World, source: str) -> None:
    status, answer = agent.ask(
        "POST", "/v1/heartbeat", Heartbeat(INVENTORY, '{"cores":"2"}', "0.3", "E1", "bad")
    )
    assert (status, answer) == (200, {"heartbeat_rate": 30})
    server = world.store.servers.get(source)
    assert (server.agent_version, server.error_code, server.system_info) == ("0.3", "E1", '{"cores":"2"}')
    status, answer = agent.ask("POST", "/v1/heartbeat", Heartbeat(INVENTORY, "x" * 1025, "0.3"))
    assert (status, answer["code"]) == (400, "InvalidParameter")


def test_a_nul_character_is_refused(agent: Agent, world: World, source: str) -> None:
    for beat in (Heartbeat(INVENTORY, "", "0\0"), Heartbeat(INVENTORY, "", "0.1", "E\0", "bad")):
        status, answer = agent.ask("POST", "/v1/heartbeat", beat)
        assert (status, answer["code"]) == (400, "InvalidParameter")
        assert "NUL" in answer["what"]
    assert agent.ask("POST", "/v1/heartbeat", Heartbeat(INVENTORY, "", "0.1"))[0] == 200


def test_a_deleted_source_is_told_at_its_next_heartbeat(agent: Agent, world: World, source: str) -> None:
    beat = Heartbeat(INVENTORY, "", "0.1")
    assert agent.ask("POST", "/v1/heartbeat", beat)[0] == 200
    world.store.servers.remove(source)
    for _ in range(2):
        assert agent.ask("POST", "/v1/heartbeat", beat)[0] == 401
    assert agent.ask("GET", "/v1/assignment?version=1&wait=0")[0] == 401


def test_other_paths_and_methods_are_refused(agent: Agent) -> None:
    assert agent.fetch("GET", "/v1/nothing")[0] == 404
    assert agent.fetch("GET", "/v1/heartbeat")[0] == 405
    assert agent.fetch("POST", "/install.sh", b"")[0] == 405
    assert agent.fetch("HEAD", "/install.sh") == (200, b"")


@pytest.mark.parametrize("credentials", ["", "s-1:00", "x", ":", "s-1:"])
@pytest.mark.parametrize("path", ["/v1/heartbeat", "/v1/assignment", "/v1/progress", "/v1/result"])
def test_no_identity_no_answer(world: World, port: int, credentials: str, path: str) -> None:
    agent = Agent(world, port)
    agent.credentials = credentials
    status, answer = agent.ask("GET" if path.endswith("assignment") else "POST", path, None)
    assert (status, answer["code"]) == (401, "Agent.IdentityInvalid")
    assert set(answer) == {"code", "what", "advice"}


def test_another_agents_secret(world: World, port: int) -> None:
    one, two = world.source(name="one"), world.source(name="two")
    agent = Agent(world, port)
    agent.credentials = f"{one.id}:{world.secrets[two.id]}"
    assert agent.ask("GET", "/v1/assignment?version=0&wait=0")[0] == 401


def test_what_is_not_a_message(agent: Agent) -> None:
    for body in (b"", b"{}", b"[1", b"\xff", b'{"inventory":1}'):
        status, answer = agent.fetch("POST", "/v1/heartbeat", body)
        assert (status, json.loads(answer)["code"]) == (400, "InvalidParameter")
    status, answer = agent.fetch("POST", "/v1/heartbeat", b" " * (3 << 20))
    assert (status, json.loads(answer)["code"]) == (400, "InvalidParameter")


def test_an_assignment_that_is_there_is_answered_at_once(agent: Agent, world: World, source: str) -> None:
    status, answer = agent.ask("GET", "/v1/assignment?wait=25")
    assert (status, answer["assignment"]) == (200, None)
    world.store.assignments.assign(source, ASSIGNMENT)
    status, body = agent.fetch("GET", f"/v1/assignment?version={answer['version']}&wait=25")
    got = msgspec.json.decode(body, type=agentapi.AssignmentAnswer)
    assert (status, got.assignment) == (200, ASSIGNMENT)
    assert got.version != answer["version"]


def test_a_poll_that_does_not_wait_sees_what_is_new(agent: Agent, world: World, source: str) -> None:
    version = agent.ask("GET", "/v1/assignment?wait=0")[1]["version"]
    world.store.assignments.assign(source, ASSIGNMENT)
    answer = agent.ask("GET", f"/v1/assignment?version={version}&wait=0")[1]
    assert answer["assignment"]["run"] == "r-1"


def in_background(act: Callable[[], Any]) -> Callable[[], Any]:
    """Start it; the returned function waits for what it answers."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()

    def result() -> Any:
        thread.join(60)
        assert results, "no answer"
        return results[0]

    return result


def waiting_poll(agent: Agent, world: World, source: str, wait: int = 25) -> Callable[[], Any]:
    """A long poll that the server holds."""
    version = world.store.assignments.get(source)[0]
    poll = in_background(lambda: agent.ask("GET", f"/v1/assignment?version={version}&wait={wait}"))
    while source not in world.services.wakeups._waiting:
        time.sleep(0.01)
    return poll


def test_a_poll_is_held_until_its_time_is_over(agent: Agent, world: World, source: str) -> None:
    poll = waiting_poll(agent, world, source, wait=1)
    assert poll()[1] == {"version": 1, "assignment": None, "keep": ""}


def test_a_change_by_another_process_is_found_by_the_ticker(
    agent: Agent, world: World, source: str, records: Path | str
) -> None:
    poll = waiting_poll(agent, world, source)
    other = Store.open(records, bytes(32))
    other.assignments.assign(source, ASSIGNMENT)
    other.close()
    assert poll()[1]["assignment"]["run"] == "r-1"


def test_the_job_that_runs_again_is_told_until_it_is_over(agent: Agent, world: World, source: str) -> None:
    def kept() -> tuple[int, str]:
        answer = agent.ask("GET", "/v1/assignment?wait=0")[1]
        return answer["version"], answer["keep"]

    spec = JobSpec(source, run_once=False, frequency=1)
    job_id = world.store.jobs.create(ACCOUNT, spec, None, "test").id
    before, keep = kept()
    assert keep == job_id
    poll = waiting_poll(agent, world, source)
    world.store.jobs.apply(job_id, Event.EXPIRE, "test")
    assert poll()[1]["keep"] == ""
    assert kept() == (before + 1, "")
    world.store.jobs.apply(job_id, Event.DELETE, "test")
    call(world, "CreateReplicationJob", RegionId="local", SourceId=source)
    assert kept()[1] == ""  # that one runs once


def test_a_deleted_source_ends_its_poll(agent: Agent, world: World, source: str) -> None:
    poll = waiting_poll(agent, world, source)
    world.store.servers.remove(source)
    assert poll()[0] == 401


def test_a_poll_in_flight_does_not_hold_up_the_servers_end(world: World) -> None:
    server = world.source()
    with serving_on(world.services) as port:
        poll = waiting_poll(Agent(world, port, server), world, server.id)
    assert poll()[0] == 200


def start_run(world: World, source: str) -> tuple[str, str]:
    job = call(world, "CreateReplicationJob", RegionId="local", SourceId=source)[1]["JobId"]
    call(world, "StartReplicationJob", JobId=job)
    world.store.jobs.apply(job, Event.PREPARED, "test")
    return job, world.workflows.started[-1][0]


def test_figures_that_do_not_count_tell_an_agent_whether_it_is_gone(
    agent: Agent, world: World, source: str
) -> None:
    told = Progress("r-over", 1, Phase.COPYING, 1, RoundKind.BASELINE, ())
    assert agent.ask("POST", "/v1/progress", told) == (200, {})
    world.store.servers.remove(source)
    assert agent.ask("POST", "/v1/progress", told)[0] == 401


def test_progress_and_result(agent: Agent, world: World, source: str) -> None:
    job, run = start_run(world, source)
    disk = DiskProgress(0, 100, 50, 50, 40, 50, 10.0, None)
    told = Progress(run, 1, Phase.COPYING, 1, RoundKind.BASELINE, (disk,))
    assert agent.ask("POST", "/v1/progress", told) == (200, {})
    assert world.store.jobs.get(job).progress > 5
    report = RunReport(("00" * 32,), (), 1, 1, 1, 0.1, 1.0, 2.0)
    for _ in range(2):
        assert agent.ask("POST", "/v1/result", Result(run, 1, report)) == (200, {})
    assert world.store.runs.get(run).result == Result(run, 1, report)
    assert world.workflows.signalled


def test_a_result_of_an_older_generation_is_taken_and_ignored(
    agent: Agent, world: World, source: str
) -> None:
    job, run = start_run(world, source)
    world.store.jobs.apply(job, Event.FAIL, "test")
    call(world, "StartReplicationJob", JobId=job)
    error = ErrorReport("SourceDisk.ReadFailed", "x", "y")
    assert agent.ask("POST", "/v1/result", Result(run, 1, error=error)) == (200, {})
    assert world.store.runs.get(run).result is None
    assert world.workflows.signalled == []


def test_a_result_is_a_report_or_an_error(agent: Agent, world: World, source: str) -> None:
    _, run = start_run(world, source)
    assert agent.ask("POST", "/v1/result", Result(run, 1))[0] == 400


def test_another_sources_run_is_not_touched(world: World, port: int) -> None:
    one, two = world.source(name="one"), world.source(name="two")
    _, run = start_run(world, one.id)
    error = ErrorReport("SourceDisk.ReadFailed", "x", "y")
    assert Agent(world, port, two).ask("POST", "/v1/result", Result(run, 1, error=error)) == (200, {})
    assert world.store.runs.get(run).result is None


def test_files(world: World, port: int, tmp_path: Path) -> None:
    agent = Agent(world, port)
    status, script = agent.fetch("GET", "/install.sh")
    assert (status, script) == (200, f"#!/bin/sh\nENDPOINT='http://127.0.0.1:{port}'\n".encode())
    status, program = agent.fetch("GET", "/rehost-agent")
    assert (status, program) == (200, (tmp_path / "rehost-agent").read_bytes())
    status, checksum = agent.fetch("GET", "/rehost-agent.sha256")
    assert checksum == f"{hashlib.sha256(program).hexdigest()}  rehost-agent\n".encode()


def test_the_agents_own_client(world: World, tls_port: int, certificates: Certificates) -> None:
    """Over TLS, with the name `rehost` whatever the address."""
    _, code = world.store.codes.create(ACCOUNT, "c")
    secret, ca = "ef" * 32, certificates.ca.read_text()
    with closing(ControlClient(f"https://127.0.0.1:{tls_port}", ca)) as stranger:
        source = stranger.register(Register(code, secret, INVENTORY, "0.1.0")).source_id
        with pytest.raises(RefusedError) as refused:
            stranger.assignment(0, 0)
    assert (refused.value.status, refused.value.reported_code) == (401, "Agent.IdentityInvalid")
    with closing(ControlClient(f"https://127.0.0.1:{tls_port}", ca, f"Bearer {source}:{secret}")) as client:
        assert client.heartbeat(Heartbeat(INVENTORY, "{}", "0.1.0")).heartbeat_rate == 30
        first = client.assignment(0)
        assert first.assignment is None
        world.store.assignments.assign(source, ASSIGNMENT)
        assert client.assignment(first.version).assignment == ASSIGNMENT
        client.progress(Progress("r-1", 1, Phase.COPYING, 1, RoundKind.BASELINE, ()))
        client.result(Result("r-1", 1, error=ErrorReport("c", "w", "a")))


def test_a_host_header_cannot_put_commands_into_the_script(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/agent/install.sh", headers={"Host": "x';reboot;'"})
    assert connection.getresponse().status == 400
    connection.close()


def test_a_clone_is_refused_whatever_it_asks(world: World, port: int, agent: Agent, source: str) -> None:
    own, other = (clones.Boot(text * 8, clones.Hardware(text)) for text in ("a", "b"))
    agent.headers = {clones.HEADER: own.header()}
    assert agent.ask("GET", "/v1/assignment?version=0&wait=0")[0] == 200
    clone = Agent(world, port, world.store.servers.get(source))
    clone.headers = {clones.HEADER: other.header()}
    world.store.assignments.assign(source, ASSIGNMENT)
    asked = (
        ("GET", "/v1/assignment?version=0&wait=0", None),
        ("POST", "/v1/heartbeat", Heartbeat(INVENTORY, "", "0.1")),
        ("POST", "/v1/result", Result("r-1", 1, error=ErrorReport("E", "what", ""))),
    )
    for method, path, value in asked:
        status, told = clone.ask(method, path, value)
        assert (status, told["code"]) == (409, "Agent.Cloned")
    assert agent.ask("GET", "/v1/assignment?version=0&wait=0")[1]["assignment"]["run"] == "r-1"
    server = call(world, "DescribeSourceServers")[1]["SourceServers"]["SourceServer"][0]
    assert "bbbbbbbb" in json.loads(server["StatusInfo"])["clone"]
    clone.headers = {clones.HEADER: "boot=?"}
    assert clone.ask("GET", "/v1/assignment?version=0&wait=0")[0] == 400


def test_another_boot_of_the_same_machine_is_to_ask_again(world: World, agent: Agent, source: str) -> None:
    before, after = (clones.Boot(text * 8, clones.Hardware("1")) for text in ("a", "b"))
    agent.headers = {clones.HEADER: before.header()}
    assert agent.ask("GET", "/v1/assignment?version=0&wait=0")[0] == 200
    agent.headers = {clones.HEADER: after.header()}
    status, told = agent.ask("GET", "/v1/assignment?version=0&wait=0")
    assert (status, told["code"]) == (503, "Agent.BootChanged")
    world.clock.ahead = 46
    assert agent.ask("GET", "/v1/assignment?version=0&wait=0")[0] == 200
