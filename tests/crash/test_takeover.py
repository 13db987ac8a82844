"""A host is killed, and whoever takes its job over is killed at each point of that: the job goes on."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rehost.block.crashpoint import POINTS, VARIABLE
from rehost.cli import datafolder
from rehost.core.agentapi import Assignment
from rehost.core.job import JobState
from rehost.store.images import ImageState
from tests.cli.hosts import SERVERS, WORKERS, Hosts
from tests.cli.serving import Agent, until

TAKING = tuple(point for point in POINTS if point.startswith("takeover."))
GIVEN_UP = tuple(point for point in POINTS if point.startswith("given_up."))
STANDS = "convert"  # where a host is when it is killed in the middle of making an image

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]


class Crashing:
    """Two workers of which one has a job, and the other is to take it over."""

    def __init__(self, folder: Path, cache: Path, url: str) -> None:
        self._order = folder / "crash"
        self.hosts = Hosts(folder, cache, url, point=STANDS)
        self.first = self.hosts[SERVERS[0]]
        self.agent = Agent(self.first)
        self.job = self.agent.create_job()
        self.first.client().call("StartReplicationJob", {"JobId": self.job})
        self.assignment = self.agent.wait_for_assignment()

    def restart(self, name: str) -> None:
        self.hosts[name].close()
        self.hosts.start(name, STANDS)

    def crash(self, point: str) -> tuple[str, str]:
        """The host of the job dies, and the other one at the point; their names."""
        owner = self.hosts.of(self.job)
        taker = next(name for name in WORKERS if name != owner)
        self._order.write_text(point)
        self.hosts.kill(owner)
        until(self._order.with_name("crash.reached").exists, f"nobody came to {point}")
        self._order.with_name("crash.reached").unlink()
        assert self.hosts[taker].process is not None
        assert self.hosts[taker].process.wait(60) == -signal.SIGKILL
        return owner, taker

    def newer(self) -> Assignment:
        """What the agent is told when the job was taken over."""
        self.assignment = self.agent.wait_for_assignment(self.assignment.generation)
        return self.assignment

    def tell(self) -> None:
        roots = self.agent.copy(self.assignment)
        assert roots is not None
        self.agent.tell(self.assignment, roots)

    def finish(self, name: str) -> None:
        """From where the host stands: one image and one replica, recorded once, and nothing beside them."""
        self.hosts[name].wait_reached()
        assert self.hosts.of(self.job) == name
        self.hosts[name].leave()
        done = self.first.until_state(self.job, JobState.FINISHED)
        with closing(datafolder.open_store(self.first.data)) as store:
            found = [(image.id, image.name, image.state) for image in store.images.all()]
            assert len(store.runs.of_jobs([self.job])[self.job]) == 1
        assert found == [(done.image_id, "golden", ImageState.AVAILABLE)]
        assert self._left("images") == [done.image_id]
        assert self._left("replicas") == [self.job]
        chunks = sum(-(-volume.size // volume.chunk) for volume in self.assignment.volumes)
        assert self.agent.sent == chunks, "nothing durable is sent again"

    def _left(self, folder: str) -> list[str]:
        """Also those that nobody is to see."""
        return sorted(entry.name for entry in (self.hosts.volumes / folder).iterdir())

    def make_an_image(self) -> None:
        """Its host has begun, and stands there."""
        self.tell()
        self.hosts[self.hosts.of(self.job)].wait_reached()

    def close(self) -> None:
        self.hosts.close()


@pytest.fixture
def crashing(tmp_path: Path, cache: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crashing]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "crash"))
    with closing(Crashing(tmp_path, cache, url)) as made:
        yield made


def test_in_the_middle_of_a_copy(crashing: Crashing) -> None:
    """Whoever was about to take it over comes back, and does."""
    for point in TAKING:
        crashing.agent.copy(crashing.assignment, most=3)
        owner, taker = crashing.crash(point)
        crashing.restart(taker)
        crashing.newer()
        assert crashing.hosts.of(crashing.job) == taker
        crashing.restart(owner)
    crashing.tell()
    crashing.finish(taker)


def test_in_the_middle_of_making_an_image(crashing: Crashing) -> None:
    crashing.make_an_image()
    for point in (*TAKING, *GIVEN_UP):
        owner, taker = crashing.crash(point)
        crashing.restart(taker)
        crashing.hosts[taker].wait_reached()
        assert crashing.hosts.of(crashing.job) == taker
        crashing.restart(owner)
    crashing.finish(taker)


def test_the_host_that_had_the_job_comes_back_instead(crashing: Crashing) -> None:
    """It goes on with what it had, or takes it back from the one that died when it had taken it over."""
    crashing.make_an_image()
    for point in (*TAKING, *GIVEN_UP):
        owner, taker = crashing.crash(point)
        crashing.restart(owner)
        crashing.hosts[owner].wait_reached()
        assert crashing.hosts.of(crashing.job) == owner
        crashing.restart(taker)
    crashing.finish(owner)


@pytest.mark.parametrize("point", ["takeover.taken", "given_up.deleted"])
def test_a_third_host_goes_on(crashing: Crashing, point: str) -> None:
    """The other two are gone for good."""
    crashing.make_an_image()
    crashing.crash(point)
    third = SERVERS[1]
    crashing.restart(third)
    crashing.hosts.command("drain", third, "--undo")
    crashing.finish(third)
