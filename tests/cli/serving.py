"""`rehost serve` as a process, with the real local driver, but no virtual machines; and an agent for it.

As a program: `python -m tests.cli.serving DATA CACHE LISTEN POINT DATABASE VOLUMES NAME`; with a NAME it is
one of several hosts, without LISTEN a worker. At the point it writes DATA/reached and stands still as long as
that is there, so that a test can kill it exactly there. While DATA/no-conversion is there conversions fail,
while DATA/mark-conversions is they leave a mark in each overlay.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rehost.agent.control import ControlClient, host_and_port
from rehost.cli import datafolder, hosting, working
from rehost.cli.client import Client, load_profile
from rehost.cli.serve import ServeConfig, serve
from rehost.compute.driver import BootEvidence, BootVerdict, Image, VolumeSpec
from rehost.compute.local.driver import LocalDriver
from rehost.core import digest
from rehost.core.agentapi import Assignment, Register, Result, RunReport
from rehost.core.errors import ConversionError
from rehost.core.job import JobState
from rehost.core.server import BootMode, Disk, Inventory
from rehost.flow import dbos_engine
from rehost.flow.engine import Context
from rehost.flow.run import RunWorkflow
from rehost.flow.steps import NEXT
from rehost.store.jobspec import DiskSpec, JobSpec
from rehost.store.transition import Job
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.tls import client_context, connect
from tests.receive.site import Sender, chunks_of

OLDER = "TEST_ENGINE_VERSION"  # in the environment: this is an older release, of this version of workflows
RESYNC_AFTER = "TEST_RESYNC_AFTER"  # in the environment: minutes
LEASED = "TEST_LEASE"  # in the environment: seconds of each of several hosts
ROOT = Path(__file__).parents[2]
SIZES = (2 << 20, 1 << 20)
LEASE = 3.0  # seconds, where the environment has none
MARK = 7  # the byte that a conversion writes
POINTS = ("create_replica after", "seal after", "convert", "boot_check", "finish_image after")
MORE_POINTS = (
    "create_replica before",
    "seal before",
    "create_image after",
    "record_conversion after",
    "finish_image before",
)


class StandingDriver(LocalDriver):
    """Boots nothing, and stands still at one point, given as "<method> before" or "<method> after"."""

    def __init__(self, data: Path, volumes: Path, stand: Callable[[str], None]) -> None:
        super().__init__(data, volumes)
        self._stand = stand

    def create_replica(
        self, job: str, volumes: Sequence[VolumeSpec], generation: int, run: str
    ) -> tuple[bytes, ...]:
        create = LocalDriver.create_replica
        made = self._around("create_replica", lambda: create(self, job, volumes, generation, run))
        assert isinstance(made, tuple)
        return made

    def seal(self, job: str, run: str, roots: Sequence[bytes]) -> None:
        self._around("seal", lambda: LocalDriver.seal(self, job, run, roots))

    def create_image(self, *arguments: Any, **named: Any) -> tuple[Path, ...]:
        create = LocalDriver.create_image
        made: tuple[Path, ...] = self._around("create_image", lambda: create(self, *arguments, **named))
        return made

    def record_conversion(self, image_id: str, report: object) -> None:
        self._around("record_conversion", lambda: LocalDriver.record_conversion(self, image_id, report))

    def boot_check(self, image_id: str, **_: Any) -> BootEvidence:
        self._stand("boot_check")
        return BootEvidence(BootVerdict(True, "ok"), 0.0, "none")

    def finish_image(self, image_id: str) -> Image:
        made: Image = self._around("finish_image", lambda: LocalDriver.finish_image(self, image_id))
        return made

    def _around(self, name: str, act: Callable[[], Any]) -> Any:
        self._stand(f"{name} before")
        answer = act()
        self._stand(f"{name} after")
        return answer


class StandingConverter:
    def __init__(self, data: Path, stand: Callable[[str], None]) -> None:
        self._data = data
        self._stand = stand

    def convert(self, image: Image, overlays: Sequence[Path], inventory: object, say: object) -> object:
        self._stand("convert")
        if (self._data / "no-conversion").exists():
            raise ConversionError("this conversion is to fail", "remove no-conversion")
        if (self._data / "mark-conversions").exists():
            for overlay in overlays:
                io_on(overlay, f"write -q -P {MARK} 0 64k")
        return {"changes": []}


class OlderRunWorkflow(RunWorkflow):
    """Of a release that made the image in one step."""

    async def _process(self, context: Context, run_id: str, generation: int) -> bool:
        def process() -> str:
            of = (run_id, generation)
            for step in (self._steps.build, self._steps.check, self._steps.finish):
                if (outcome := step(*of)) != NEXT:
                    return outcome
            return NEXT

        return await context.step("process", process, heavy=True) == NEXT


def io_on(overlay: Path, command: str) -> None:
    """As the helper VM writes: nothing is synced."""
    subprocess.run(["qemu-io", "-t", "unsafe", "-f", "qcow2", "-c", command, overlay], check=True)


def _main(data: Path, cache: Path, listen: str, point: str, database: str, volumes: str, name: str) -> None:
    def stand(here: str) -> None:
        if here == point:
            (data / "reached").write_text(here)
            while (data / "reached").exists():
                time.sleep(0.05)

    def machinery(config: ServeConfig, volumes: Path) -> tuple[StandingDriver, StandingConverter]:
        return StandingDriver(config.data, volumes, stand), StandingConverter(config.data, stand)

    if OLDER in os.environ:
        dbos_engine.VERSION = os.environ[OLDER]
        hosting.RunWorkflow = OlderRunWorkflow  # type: ignore[attr-defined]
    config = ServeConfig(data, listen, "127.0.0.1:0", database=database, helper_cache=cache)
    if name:
        shared = Path(volumes) if volumes else None
        config = replace(config, addresses=("127.0.0.1",), volumes=shared, name=name)
        config = replace(config, lease=float(os.environ.get(LEASED, LEASE)))
        config = replace(config, resync_after=float(os.environ.get(RESYNC_AFTER, 0)))
    if listen:
        serve(config, lambda serving: print(serving.endpoint, flush=True), machinery)
    else:
        working.run(config, lambda started: print(started.name, flush=True), machinery)


class ControlPlane:
    """The process, and what people and agents do with it. It is started again at the place where it was."""

    def __init__(
        self,
        data: Path,
        cache: Path,
        *,
        listen: str = "127.0.0.1:0",
        volumes: Path | str = "",
        name: str = "",
    ) -> None:
        """With a name it is one of several hosts; without a place to listen at it is a worker."""
        self.data = data
        self._cache = cache
        self._listen = listen
        self._host = (str(volumes), name)
        self.process: subprocess.Popen[str] | None = None

    def start(self, point: str = "", database: str = "") -> None:
        """Where it was reached before, if it was started before."""
        (self.data / "reached").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.cli.serving",
                self.data, self._cache, self._listen, point, database, *self._host,
            ],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.endpoint = self.process.stdout.readline().strip()
        assert self.endpoint, f"it ended with {self.process.wait()}"
        if self._listen:
            self._listen = self.endpoint.removeprefix("https://")

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def close(self) -> None:
        if self.process is not None:
            self.stop(signal.SIGKILL)

    def wait_reached(self) -> None:
        until(lambda: (self.data / "reached").exists(), "the point is reached")

    def leave(self) -> None:
        """Let it go on from where it stands."""
        (self.data / "reached").unlink()

    def client(self) -> Client:
        return Client(load_profile(self.data / "first-access-key.json"))

    def describe(self, job_id: str) -> dict[str, Any]:
        reply = self.client().call("DescribeReplicationJobs", {"JobId.1": job_id})
        (job,) = reply["ReplicationJobs"]["ReplicationJob"]
        return dict(job)

    def receiver_pid(self) -> int:
        return int(json.loads((self.data / "receiver.json").read_text())["pid"])

    def until_state(self, job_id: str, *states: JobState) -> Job:
        store = datafolder.open_store(self.data)
        try:
            until(lambda: store.jobs.get(job_id).state in states, lambda: str(store.jobs.get(job_id)))
            return store.jobs.get(job_id)
        finally:
            store.close()


def until(condition: Callable[[], object], what: str | Callable[[], str], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.05)


class Agent:
    """Registers, and carries out assignments over the real data plane; its disks are bytes."""

    def __init__(self, plane: ControlPlane, letter: str = "a") -> None:
        """Each letter is another one."""
        self.plane = plane
        self._secret, self._job = letter * 64, f"job-{letter}"
        self.contents = tuple(os.urandom(size) for size in SIZES)
        self.sent = 0  # chunks
        disks = tuple(Disk(n, f"/dev/sd{'ab'[n]}", size) for n, size in enumerate(SIZES))
        self.inventory = Inventory("web1", "Debian", "x86_64", "6.1", BootMode.BIOS, 1, 1 << 30, disks)
        store = datafolder.open_store(plane.data)
        _, code = store.codes.create("default", "test")
        self.source = store.servers.register(Register(code, self._secret, self.inventory, "0.1")).id
        store.close()

    def create_job(self, **wishes: Any) -> str:
        store = datafolder.open_store(self.plane.data)
        spec = JobSpec(self.source, name=self._job, image_name="golden", data_disks=(DiskSpec(1),), **wishes)
        job = store.jobs.create("default", spec, None, "test")
        store.close()
        return job.id

    def assignment(self) -> Assignment | None:
        store = datafolder.open_store(self.plane.data)
        found = store.assignments.get(self.source)[1]
        store.close()
        return found

    def wait_for_assignment(self, after: int = 0) -> Assignment:
        """Of a generation after that one."""
        with closing(datafolder.open_store(self.plane.data)) as store:

            def there() -> bool:
                found = store.assignments.get(self.source)[1]
                return found is not None and found.generation > after

            until(there, "there is an assignment")
        found = self.assignment()
        assert found is not None
        return found

    def copy(self, assignment: Assignment, most: int | None = None) -> tuple[bytes, ...] | None:
        """Send what differs from the journals, at most `most` chunks; the roots when everything is there."""
        context = client_context((self.plane.data / "keys" / "ca.crt").read_text())
        host, _ = host_and_port(self.plane.endpoint)
        channel = Channel(connect(host, assignment.receiver_port, context, 10), m.Role.AGENT)
        try:
            sender = Sender(channel, assignment.ticket, 0)
            missing = [
                (volume, number, chunk)
                for volume, content in enumerate(self.contents)
                for number, chunk in enumerate(chunks_of(content))
                if sender.digests(volume, number, 1) != [digest.of(chunk)]
            ]
            for volume, number, chunk in missing[:most]:
                sender.wait_acked(sender.send(volume, number, chunk))
                self.sent += 1
            return sender.complete() if most is None else None
        finally:
            channel.close()

    def tell(self, assignment: Assignment, roots: tuple[bytes, ...]) -> None:
        """The result, through the agents' API."""
        report = RunReport(tuple(root.hex() for root in roots), (), 0, 0, 0, 0.0, 0.0, 1.0)
        result = Result(assignment.run, assignment.generation, report)
        ca = (self.plane.data / "keys" / "ca.crt").read_text()
        client = ControlClient(self.plane.endpoint, ca, f"Bearer {self.source}:{self._secret}")
        try:
            client.result(result)
        finally:
            client.close()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
