"""What people ask of a control plane while it works, and how long it takes: calls, commands, schedules."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

from bench.fleetprocess import FleetProcess, slowest
from rehost.cli.client import Client, Profile
from rehost.store.jobspec import JobSpec
from rehost.store.store import Store

_AT_ONCE = 8  # calls that start jobs
_PAUSE = 0.5  # seconds between two calls that are timed
_SOON = 3.0  # seconds from now that a scheduled start is
QUOTA = 1_000_000  # jobs of the account


class People:
    """With one access key."""

    def __init__(self, profile: Profile, store: Store) -> None:
        self.client, self._store = Client(profile), store

    def create(self, source: str) -> str:
        asked = {"RegionId": "local", "SourceId": source, "RunOnce": True}
        return str(self.client.call("CreateReplicationJob", asked)["JobId"])

    def start(self, jobs: Sequence[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda job: self.client.call("StartReplicationJob", {"JobId": job}), jobs))

    def create_and_start(self, sources: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            jobs = list(pool.map(self.create, sources))
        self.start(jobs)
        return jobs

    def look(self) -> None:
        self.client.call("DescribeReplicationJobs", {"PageSize": 50})

    def running(self) -> int:
        asked = {"Status": "Running", "BusinessStatus": "Syncing", "PageSize": 1}
        return int(self.client.call("DescribeReplicationJobs", asked)["TotalCount"])

    def commands(self, sources: Sequence[tuple[str, str]], crowd: FleetProcess) -> float:
        """Seconds that the slowest of so many agents (source, job) waited to hear of a stop."""
        given = []
        for source, job in sources:
            given.append((source, time.time()))
            self.client.call("StopReplicationJob", {"JobId": job})
        return _heard(given, crowd)

    def schedule(self, sources: Sequence[str]) -> list[str]:
        """Jobs that are to start at a moment soon."""
        made = []
        for source in sources:
            spec = JobSpec(source, scheduled_start=time.time() + _SOON)
            made.append(self._store.jobs.create("default", spec, None, "bench", QUOTA).id)
        return made

    def late(self, jobs: Sequence[str]) -> float:
        """Seconds after its moment that the last of them started."""
        found = [self._store.jobs.get(job) for job in jobs]
        return max((job.started or time.time()) - (job.spec.scheduled_start or 0.0) for job in found)


class Timed(threading.Thread):
    """The same call again and again."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._call, self._ended = call, threading.Event()
        self._took: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(_PAUSE):
            began = time.monotonic()
            self._call()
            self._took.append((time.monotonic() - began) * 1000)

    def end(self) -> tuple[float, float]:
        """The median and the 95th percentile, milliseconds."""
        self._ended.set()
        self.join()
        found = quantiles(self._took, n=20, method="inclusive")
        return found[9], found[18]


def _heard(given: Sequence[tuple[str, float]], crowd: FleetProcess) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        share, latest = slowest(given, crowd.heard)
        if share == 1.0:
            return latest
        time.sleep(0.2)
    return float("inf")
