"""A real agent and a real receiver: what a stop keeps, and that nothing is left of a job that is gone."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from rehost.block.layer import chain
from rehost.cli import datafolder
from rehost.core.agentapi import RunReport
from rehost.core.job import JobState
from rehost.store.schema import jobs
from tests.cli.serving import ControlPlane, until
from tests.loopdisks import LoopDisk, LoopDisks
from tests.migration.holdings import Holdings, holdings
from tests.migration.ledger import CHUNK, Ledger
from tests.migration.source import Agent

MIB = 1 << 20
SIZE = 64 * MIB
OVERHEAD = 128  # bytes of a chunk's frame besides its content, at most
SLOWLY = '{"bandwidth_limit": 8000, "compress_level": 0}'  # KB/s; bytes can be counted
DAY = 86400.0


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    """A mounted file system with bytes that do not compress."""
    made = disks.make(SIZE, "ext4", ("-q",))
    assert made.mount is not None
    (made.mount / "noise").write_bytes(os.urandom(SIZE // 2))
    os.sync()
    return made


class Scene:
    """A control plane, an agent of one disk, and its source server."""

    def __init__(self, folder: Path, plane: ControlPlane, agent: Agent, disk: LoopDisk) -> None:
        self.folder, self.plane, self.agent, self.disk = folder, plane, agent, disk
        plane.start()
        with closing(datafolder.open_store(plane.data)) as store:
            _, code = store.codes.create("default", "test")
        registered = agent.register(plane.endpoint, plane.data / "keys/ca.crt", code)
        assert registered.returncode == 0, registered.stderr
        agent.start()
        until(lambda: self.servers("Available"), "the source server is there")
        self.source = self.servers("Available")[0]["SourceId"]

    def servers(self, state: str = "") -> list[dict[str, str]]:
        reply = self.plane.client().call("DescribeSourceServers", {"State": state})
        return list(reply["SourceServers"]["SourceServer"])

    def call(self, action: str, **parameters: object) -> dict[str, object]:
        return self.plane.client().call(action, parameters)

    def create(self, **wishes: object) -> str:
        wishes = {"SourceId": self.source, "RegionId": "local", "ReplicationParameters": SLOWLY, **wishes}
        return str(self.plane.client().call("CreateReplicationJob", wishes)["JobId"])

    def copies(self, job: str) -> None:
        """The job is started, and some of it is durable."""
        self.call("StartReplicationJob", JobId=job)
        replica = self.replica(job)
        until(lambda: (replica / "replica.json").exists() and len(Ledger(replica).content) > 20, "it copies")

    def stopped(self, job: str) -> None:
        self.copies(job)
        stops = self.agent.log.read_text().count("was stopped")
        self.call("StopReplicationJob", JobId=job)
        until(lambda: self.agent.log.read_text().count("was stopped") > stops, "the agent has stopped")

    def replica(self, job: str) -> Path:
        return self.plane.data / "replicas" / job

    def report(self, job: str) -> RunReport:
        with closing(datafolder.open_store(self.plane.data)) as store:
            result = store.runs.of_jobs([job])[job][-1].result
        assert result is not None
        assert result.report is not None
        return result.report

    def turn_clock(self, job: str, days: float) -> None:
        """As if the job's expiry, and its deletion after that, were so many days nearer."""
        with closing(datafolder.open_store(self.plane.data)) as store, store.database.write() as connection:
            of_job = jobs.update().where(jobs.c.id == job)
            back = {"valid_until": jobs.c.valid_until - days * DAY, "ended": jobs.c.ended - days * DAY}
            connection.execute(of_job.values(**back))

    def gone(self, job: str) -> bool:
        with closing(datafolder.open_store(self.plane.data)) as store, store.database.read() as connection:
            return connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job)).first() is None

    def holdings(self) -> Holdings:
        return holdings(self.plane, self.folder, self.disk.path)

    def left_but(self, image: str, job: str, before: Holdings) -> None:
        """Nothing is left but an image and what it is built on."""
        own = (f"images/{image}", f"replicas/{job}")

        def left() -> Holdings:
            now = self.holdings()
            return replace(now, files=tuple(file for file in now.files if not file.startswith(own)))

        until(lambda: left() == before, lambda: _differences(self, before), 30)

    def at_rest(self) -> Holdings:
        """Before the first job. A loop device may have another test's tracker: it goes, too.

        Between fork and exec a new process looks like another one of its parent's."""
        while (seen := self.holdings()) != self.holdings():
            pass
        return replace(seen, tracked=())


@pytest.fixture
def scene(tmp_path: Path, cache: Path, disk: LoopDisk) -> Iterator[Scene]:
    data = tmp_path / "data"
    data.mkdir()
    with closing(ControlPlane(data, cache)) as plane, closing(Agent(tmp_path / "agent", disk.path)) as agent:
        yield Scene(tmp_path, plane, agent, disk)


def test_a_stop_keeps_what_was_sent_and_a_start_does_not_send_it_again(scene: Scene) -> None:
    """In between the control plane is killed."""
    job = scene.create()
    scene.stopped(job)
    shown = scene.plane.describe(job)
    assert (shown["Status"], shown["BusinessStatus"]) == ("Stopped", "Syncing")
    kept = Ledger(scene.replica(job))
    time.sleep(2)
    assert Ledger(scene.replica(job)).entries == kept.entries, "nobody writes to it any more"
    scene.plane.stop(signal.SIGKILL)
    scene.plane.start()
    scene.call("StartReplicationJob", JobId=job)
    scene.plane.until_state(job, JobState.FINISHED)
    last = Ledger(scene.replica(job))
    again = len(last.content - kept.content) + len(kept.rewritten(last))
    deltas = sum(round.changed for round in scene.report(job).rounds)
    assert len(kept.content) > 20
    assert scene.report(job).sent <= again * (CHUNK + OVERHEAD) + deltas
    assert scene.report(job).sent < len(last.content) * CHUNK - len(kept.content) * CHUNK // 2
    assert chain(scene.replica(job))[0].data(0).stat().st_size == SIZE


def delete_a_stopped_job(scene: Scene) -> str:
    job = scene.create()
    scene.stopped(job)
    scene.call("DeleteReplicationJob", JobId=job)
    return job


def delete_a_job_that_was_never_started(scene: Scene) -> str:
    job = scene.create()
    scene.call("DeleteReplicationJob", JobId=job)
    return job


def let_a_stopped_job_expire(scene: Scene) -> str:
    job = scene.create()
    scene.stopped(job)
    scene.turn_clock(job, 31)
    scene.plane.until_state(job, JobState.EXPIRED)
    assert scene.replica(job).exists(), "it is kept for a while"
    scene.turn_clock(job, 8)
    return job


def delete_a_job_that_was_stopped_by_a_kill(scene: Scene) -> str:
    """The control plane dies right after it has answered the deletion."""
    job = scene.create()
    scene.stopped(job)
    scene.call("DeleteReplicationJob", JobId=job)
    scene.plane.stop(signal.SIGKILL)
    scene.plane.start()
    return job


def delete_a_job_while_its_agent_stands_still(scene: Scene) -> str:
    """An agent that does not hear of the stop has its connections open; later it wakes up and goes on."""
    job = scene.create()
    scene.copies(job)
    assert scene.agent.process is not None
    scene.agent.process.send_signal(signal.SIGSTOP)
    try:
        scene.call("StopReplicationJob", JobId=job)
        scene.call("DeleteReplicationJob", JobId=job)
        until(lambda: scene.gone(job), "its row is gone")
    finally:
        scene.agent.process.send_signal(signal.SIGCONT)
    return job


PATHS = (
    delete_a_job_while_its_agent_stands_still,
    delete_a_stopped_job,
    delete_a_job_that_was_never_started,
    let_a_stopped_job_expire,
    delete_a_job_that_was_stopped_by_a_kill,
)


def test_nothing_is_left_of_jobs_that_are_gone(scene: Scene) -> None:
    """One after the other: what one leaves would be in the way of the next."""
    before = scene.at_rest()
    for path in PATHS:
        job = path(scene)
        until(lambda: scene.gone(job), f"{path.__name__}: its row is gone")  # noqa: B023
        until(lambda: scene.holdings() == before, lambda: _differences(scene, before), 30)


def test_of_a_job_that_runs_again_its_images_are_left_and_no_tracker(scene: Scene) -> None:
    before = scene.at_rest()
    job = scene.create(RunOnce="false", Frequency=24, MaxNumberOfImageToKeep=2, ReplicationParameters="")
    scene.call("StartReplicationJob", JobId=job)
    image = scene.plane.until_state(job, JobState.WAITING).image_id
    assert scene.holdings().tracked == (scene.disk.path,), "its next run builds on it"
    scene.call("DeleteReplicationJob", JobId=job)
    until(lambda: scene.gone(job), "its row is gone")
    scene.left_but(image, job, before)
    assert (scene.plane.data / "images" / image / "image.json").exists()


def test_nothing_is_left_of_a_source_server_that_is_deleted_with_its_jobs(scene: Scene) -> None:
    """Its agent, which is an unknown one from then on, holds nothing either."""
    before = scene.at_rest()
    job = scene.create(RunOnce="false", Frequency=24, MaxNumberOfImageToKeep=2, ReplicationParameters="")
    scene.call("StartReplicationJob", JobId=job)
    image = scene.plane.until_state(job, JobState.WAITING).image_id
    scene.call("DeleteSourceServer", SourceId=scene.source, Force="true")
    until(lambda: scene.gone(job) and not scene.servers(), "both rows are gone")
    until(lambda: "refuses this agent" in scene.agent.log.read_text(), "the agent is refused")
    scene.left_but(image, job, before)


def _differences(scene: Scene, before: Holdings) -> str:
    now = scene.holdings()
    names = [name for name in Holdings.__dataclass_fields__ if getattr(now, name) != getattr(before, name)]
    return "\n".join(f"{name}: {getattr(before, name)} -> {getattr(now, name)}" for name in names)
