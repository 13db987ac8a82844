"""One migration from registration to a booted image, in which everything that can be killed is killed."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from demo import evidence
from demo.control_plane import ControlPlane
from demo.migration import Migration
from demo.records import prove
from rehost.cli import datafolder
from rehost.compute.local import LocalDriver
from rehost.compute.local.bootcheck import evidence_of
from rehost.receive.session import WINDOW
from rehost.store.runs import Run
from tests.cli.serving import until
from tests.loopdisks import LoopDisks
from tests.migration.ledger import CHUNK, Ledger, roots, sealed_roots
from tests.migration.source import BOOT_ID, Agent, SourceServer

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

STREAMS = 2
IN_FLIGHT = STREAMS * WINDOW  # bytes that one kill can cost
PARAMETERS = {
    "bandwidth_limit": 25_000,  # KB/s: so that there is time to kill
    "compress_level": 0,  # so that bytes can be counted
    "streams": STREAMS,
    "boot_check_command": evidence.COMMAND,
}
POINTS = (600, 1100, 1600)  # chunks of content that are durable when agent, receiver and server are killed
OVERHEAD = 128  # bytes of a chunk's frame besides its content, at most


class Site:
    """A control plane that can be killed and started again at its ports."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder, self._cache = folder, cache
        self.data = folder / "data"
        self.plane = ControlPlane(self.data, cache, folder / "serve-1.log")
        self.ports = self.plane.ports

    def start_again(self) -> None:
        self.plane = ControlPlane(self.data, self._cache, self._folder / "serve-2.log", self.ports)

    def receiver(self) -> int:
        return int(json.loads((self.data / "receiver.json").read_text())["pid"])

    def replica(self, job: str) -> Path:
        return self.data / "replicas" / job

    def run(self, job: str) -> Run:
        with closing(datafolder.open_store(self.data)) as store:
            (found,) = store.runs.of_jobs([job])[job]
            return found

    def log(self) -> list[dict[str, Any]]:
        text = (self.data / "logs" / "receiver.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def close(self) -> None:
        self.plane.close()


@pytest.fixture
def site(tmp_path: Path, cache: Path) -> Iterator[Site]:
    with closing(Site(tmp_path, cache)) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path, cache: Path, disks: LoopDisks) -> Iterator[SourceServer]:
    with closing(SourceServer(tmp_path, cache, disks)) as made:
        yield made


def test_a_migration_in_which_everything_is_killed(source: SourceServer, site: Site, tmp_path: Path) -> None:
    with closing(Agent(tmp_path / "agent", *source.disks)) as agent:
        registered = agent.register(site.plane.endpoint, site.data / "keys/ca.crt", _code(site))
        assert registered.returncode == 0, registered.stderr
        agent.start()
        migration = Migration(site.plane.first_access_key)
        job = migration.create_job(migration.wait_for_source(), PARAMETERS)
        migration.start_job(job)

        _until_durable(site, job, POINTS[0])
        first = _kill_agent(site, job, agent)
        agent.start()
        _until_durable(site, job, POINTS[1])
        _kill_receiver(site)
        _until_durable(site, job, POINTS[2])
        _kill_server(site)

        done = migration.watch(job, lambda _: None)
    _check_what_was_sent(site, job, first)
    _check_image(site, source, done["ImageId"], site.run(job))
    site.close()
    _check_nothing_is_left(source, site, tmp_path)


def _code(site: Site) -> str:
    return site.plane.activation_line("127.0.0.1").split()[-1]


def _until_durable(site: Site, job: str, chunks: int) -> None:
    replica = site.replica(job)
    until(lambda: len(Ledger(replica).content) >= chunks, f"{chunks} chunks are durable", 180)


def _kill_agent(site: Site, job: str, agent: Agent) -> Ledger:
    """What is durable when the receiver has let go of what the agent had sent."""
    agent.kill()
    until(lambda: len(_ended(site)) == STREAMS, "the agent's connections have ended")
    return Ledger(site.replica(job))


def _ended(site: Site) -> list[dict[str, Any]]:
    return [line for line in site.log() if line["event"] in ("connection failed", "connection complete")]


def _kill_receiver(site: Site) -> None:
    pid = site.receiver()
    os.kill(pid, signal.SIGKILL)
    until(lambda: site.receiver() != pid, "its parent starts another one")


def _kill_server(site: Site) -> None:
    receiver = site.receiver()
    os.kill(site.plane.pid, signal.SIGKILL)
    until(lambda: not _lives(receiver), "the receiver ends with its parent")
    site.close()
    site.start_again()


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _check_what_was_sent(site: Site, job: str, first: Ledger) -> None:
    """`first` is what the killed agent had made durable; the other one's report counts its bytes.

    Receiver and server were killed under that one, and both times what was in flight was lost.
    """
    run, last = site.run(job), Ledger(site.replica(job))
    assert (run.number, run.generation) == (1, 1), "it is still the run that was started"
    assert run.result is not None
    assert run.result.report is not None
    report = run.result.report
    missing, rewritten = last.content - first.content, first.rewritten(last)
    deltas = sum(past.changed for past in report.rounds[1:])
    needed = len(missing | rewritten) * (CHUNK + OVERHEAD) + deltas * (1 + OVERHEAD / CHUNK)
    assert report.sent <= needed + 2 * IN_FLIGHT
    # The whole: what the killed agent sent at most besides what became durable is what it had in flight.
    assert len(first.content) > POINTS[0] * 0.9, "the first agent did its part"
    sent_by_first = sum(line["chunks"] for line in _ended(site)[:STREAMS]) * (CHUNK + OVERHEAD)
    assert sent_by_first + report.sent <= report.used * 1.02 + len(rewritten) * CHUNK + deltas + 3 * IN_FLIGHT
    assert list(report.roots) == sealed_roots(site.replica(job)) == roots(site.replica(job))


def _check_image(site: Site, source: SourceServer, image_id: str, run: Run) -> None:
    """It boots, its service goes on, and its records are the source's first ones up to the freeze."""
    assert run.result is not None
    assert run.result.report is not None
    image = LocalDriver(site.data).image(image_id)
    seen = evidence_of(image)
    assert seen is not None
    assert (seen.verdict.ok, seen.verdict.verdict) == (True, "ok")
    records = evidence.records_of(image.boot_folder / "output.txt")
    proof = prove(source.records(), records, BOOT_ID.read_text().strip(), run.result.report.held_seconds)
    assert proof.copied > 0


def _check_nothing_is_left(source: SourceServer, site: Site, folder: Path) -> None:
    for mount in source.mounts:
        subprocess.run(["sh", "-c", 'echo >"$0/thawed" && sync -f "$0"', str(mount)], check=True, timeout=30)
    until(lambda: not _processes_of(folder, source), lambda: str(_processes_of(folder, source)), 20)
    with ExitStack() as stack:
        for port in site.ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))


def _processes_of(folder: Path, source: SourceServer) -> list[str]:
    """Command lines of what has to do with this test, besides its own recorder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in line and int(process.parent.name) not in (os.getpid(), source.recorder):
            lines.append(line)
    return lines
