"""A control plane and the agent of a small disk, that die at crash points and are started again."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.control_plane import PROGRAM
from demo.migration import Migration
from rehost.block.layer import chain
from rehost.cli import datafolder
from rehost.compute.local.qemuimg import backing_of
from rehost.core.errors import RehostError
from rehost.core.job import JobState
from rehost.store.images import ImageRecord, ImageState
from rehost.store.runs import Run
from rehost.store.store import Store
from rehost.store.transition import Job
from tests.cli.serving import MARK, ControlPlane, io_on, until
from tests.loopdisks import run
from tests.migration.source import Agent

CHUNK = 256 << 10
SIZE = 24 * CHUNK  # of the source's disk
_ELSEWHERE = ("env", "--unset=PYTHONPATH")  # what a test does to the Python of the control plane's host
_DYING = 0.5  # seconds from the word that a point was reached to the end of the process
PLENTY = 120.0  # seconds; only what hangs takes so long


@dataclass(frozen=True)
class State:
    """What the records say of a job."""

    job: Job
    runs: tuple[Run, ...]
    images: tuple[ImageRecord, ...]
    assigned: bool  # the source still has the job's assignment

    @property
    def last_ended(self) -> bool:
        return bool(self.runs) and self.runs[-1].ended is not None


class Site:
    """The control plane's folder and the agent's lie in `place`.

    With `all_fall` a process that dies takes all others along; it is called when they are gone.
    """

    def __init__(
        self, folder: Path, cache: Path, disk: str, place: Path, all_fall: Callable[[], None] | None = None
    ) -> None:
        """`folder`/crash is the file that names the crash point, which the environment has to say."""
        self.data = place / "data"
        self.data.mkdir(exist_ok=True)
        (self.data / "mark-conversions").touch()
        self.plane = ControlPlane(self.data, cache)
        self.agent = Agent(folder / "agent", disk, prefix=_ELSEWHERE, state=place / "state")
        self.source = ""
        self.disk = Path(disk)
        self._order = folder / "crash"
        self._all_fall = all_fall
        self._store: Store | None = None
        self._then = ""
        self.waits = False  # for a crash that was asked for
        self._choose = random.Random(0)
        self.disk.write_bytes(self._choose.randbytes(SIZE))

    def start(self) -> None:
        self.plane.start()
        _, code = self.store.codes.create("default", "test")
        registered = self.agent.register(self.plane.endpoint, self.data / "keys/ca.crt", code)
        assert registered.returncode == 0, registered.stderr
        self.agent.start()
        self.source = Migration(self.data / "first-access-key.json").wait_for_source()

    @property
    def store(self) -> Store:
        """Kept open, as it is asked often."""
        if self._store is None:
            self._store = datafolder.open_store(self.data)
        return self._store

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def create_job(self, **wishes: Any) -> str:
        parameters = {"SourceId": self.source, "RegionId": "local", **wishes}
        return str(self.plane.client().call("CreateReplicationJob", parameters)["JobId"])

    def change_disk(self) -> None:
        """Two chunks of it are others than before."""
        with open(self.disk, "r+b") as file:
            for chunk in self._choose.sample(range(SIZE // CHUNK), 2):
                file.seek(chunk * CHUNK)
                file.write(self._choose.randbytes(CHUNK))
            file.flush()
            os.fsync(file.fileno())

    def arm(self, point: str, then: str = "") -> None:
        """The next process that comes to the point dies there; no point: nobody does.

        `then` is where one may die again after that, if one comes there.
        """
        self._order.unlink(missing_ok=True)
        self._revive()  # after somebody who came to the last point only now
        self.waits, self._then = bool(point), then
        if point:
            self._name(point)

    def _name(self, point: str) -> None:
        fresh = self._order.with_name("crash.new")
        fresh.write_text(point)
        fresh.rename(self._order)

    def kill_at(self, point: str, command: Sequence[str | Path]) -> None:
        """A program that dies at the point and is not started again."""
        self._name(point)
        done = subprocess.run(command, check=False)
        assert done.returncode == -signal.SIGKILL, point
        self._reached.unlink()

    @property
    def _reached(self) -> Path:
        return self._order.with_name("crash.reached")

    def call(self, action: str, **parameters: str) -> None:
        """An action of the API, in which the control plane may die: then it is not asked again."""
        try:
            self.plane.client().call(action, parameters)
        except RehostError:
            if not self._reached.exists():
                raise

    def state(self, job: str) -> State:
        return State(
            self.store.jobs.get(job),
            self.store.runs.of_jobs([job])[job],
            self.store.images.of_job(job),
            self.store.assignments.get(self.source)[1] is not None,
        )

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Start again what died, until the condition holds; `what` is said if it never does."""

        def there() -> object:
            self._revive()
            return condition()

        until(there, lambda: f"{what}: {self._told()}", PLENTY)

    def _told(self) -> list[str]:
        jobs = self.store.jobs.of_source(self.source)
        return [f"{job.state.name} {job.error_code} {job.status_info}" for job in jobs]

    def until_state(self, job: str, condition: Callable[[State], object], what: str) -> State:
        self.until(lambda: condition(self.state(job)), what)
        return self.state(job)

    def _revive(self) -> None:
        """What a service manager does."""
        if self._reached.exists():
            self._after_crash()
        plane, agent = self.plane.process, self.agent.process
        assert plane is not None
        assert agent is not None
        if plane.poll() is not None:
            assert plane.returncode == -signal.SIGKILL, plane.returncode
            self.plane.close()
            self.plane.start()
        if agent.poll() is not None:
            assert agent.returncode == -signal.SIGKILL, agent.returncode
            self.agent.start()

    def _after_crash(self) -> None:
        time.sleep(_DYING)
        self._reached.unlink()
        self.waits = False
        if self._all_fall is not None:
            self._kill_all()
            self._all_fall()
        if self._then:
            self._name(self._then)
            self._then = ""

    def _kill_all(self) -> None:
        self._close_store()
        for process in (self.plane.process, self.agent.process):
            assert process is not None
            process.kill()
            process.wait()
        until(lambda: not self.processes(), lambda: str(self.processes()), 30)

    def stop_plane(self) -> None:
        """At once, to change what is below it; the agent goes on."""
        self._close_store()
        self.plane.stop(signal.SIGKILL)
        until(lambda: not self._receivers(), lambda: str(self._receivers()), 30)

    def _receivers(self) -> list[str]:
        return [line for line in self.processes() if str(self.data) in line and "agent" not in line]

    @contextmanager
    def held_in_sync(self, job: str) -> Iterator[None]:
        """Start the job; while this is held its agent stands still within the copy."""
        agent = self.agent.process
        assert agent is not None
        agent.send_signal(signal.SIGSTOP)
        self.call("StartReplicationJob", JobId=job)
        self.until(lambda: self.state(job).job.state is JobState.SYNCING, "it does not copy")
        yield
        agent.send_signal(signal.SIGCONT)

    def check_waiting(self, job: str, runs: int) -> None:
        """One image, registered once, equal to the disk; one layer; nothing beside them."""
        now = self.state(job)
        assert (now.job.state, now.job.error_code, now.assigned) == (JobState.WAITING, "", False)
        assert [run.number for run in now.runs] == list(range(1, runs + 1))
        assert [(image.id, image.state) for image in now.images] == [(now.job.image_id, ImageState.AVAILABLE)]
        assert self.folders("images") == [now.job.image_id]
        (layer,) = chain(self.data / "replicas" / job)
        overlay = self.data / "images" / now.job.image_id / "disk-0.qcow2"
        assert backing_of(overlay) == layer.data(0)
        assert layer.data(0).read_bytes() == self.disk.read_bytes()
        io_on(overlay, f"read -q -P {MARK} 0 64k")  # fails if it is anything else
        self.check_nothing_left(job)

    def verify(self, image: str) -> None:
        command = [PROGRAM, "verify", image, "--data", self.data]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def folders(self, name: str) -> list[str]:
        """Also those that nobody is to see."""
        entries = (entry.name for entry in (self.data / name).iterdir())
        return sorted(name for name in entries if name != "lost+found")

    def check_nothing_left(self, *jobs: str) -> None:
        """No files of steps that died, at no place; of replicas those of these jobs.

        What is hidden just now may be about to take its place: an agent keeps what it has delivered.
        """
        assert self.folders("replicas") == sorted(jobs)
        until(lambda: not self._hidden(), lambda: str(self._hidden()), 10)

    def _hidden(self) -> list[Path]:
        hidden = [path for path in self.data.rglob(".*") if self.data / "cache" not in path.parents]
        return [*hidden, *self.agent.state.rglob(".*")]

    def processes(self) -> list[str]:
        """Command lines of what has to do with this site."""
        lines = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if (str(self.data) in line or str(self.agent.state) in line) and "powerloss" not in line:
                lines.append(line)
        return lines

    def close(self) -> None:
        self._close_store()
        self.agent.close()
        if self.plane.process is not None and self.plane.process.poll() is None:
            self.plane.stop()
        self.plane.close()

    def check_all_released(self) -> None:
        """After `close`: no process, no port, no mount, no loop device more than the disk's own."""
        until(lambda: not self.processes(), lambda: str(self.processes()), 30)
        _, _, port = self.plane.endpoint.rpartition(":")
        with socket.create_server(("127.0.0.1", int(port))):
            pass
        assert str(self.data) not in run("losetup", "--list", "--noheadings", "--output", "BACK-FILE")
        assert f"{self.data}/" not in Path("/proc/mounts").read_text()
