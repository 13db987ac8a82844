"""A running qemu-storage-daemon: disk images of this host as NBD exports on a Unix socket."""

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rehost.core.errors import MachineError
from rehost.machine.programs import find

START_DEADLINE = 30.0  # seconds until it listens
LOCKED_DEADLINE = 15.0  # seconds that it waits for another process to let an image go
END_DEADLINE = 10.0  # seconds to write what its caches hold
_LOCKED = 'Failed to get "write" lock'


@dataclass(frozen=True, slots=True)
class DiskImage:
    name: str  # of its export
    path: Path
    format: str  # raw or qcow2


class StorageDaemon:
    """The process; a context manager that leaves nothing behind.

    A flush of an export is a flush of the disk that the image lies on. The process ends with this one,
    whatever thread started it: a thread of its own waits for its end.
    """

    def __init__(self, images: Sequence[DiskImage]) -> None:
        """Returns when it listens; MachineError with its own words if it does not come to that."""
        self._images = tuple(images)
        self._folder = Path(tempfile.mkdtemp(prefix="rehost-", dir="/tmp"))  # short: names of sockets are
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def socket(self) -> Path:
        return self._folder / "nbd"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; what was not flushed may be lost, and images are closed in order if it obeys in time."""
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(END_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        """Another process that ends may hold a lock on an image for a moment: then it is tried again."""
        deadline = time.monotonic() + LOCKED_DEADLINE
        while not self._started():
            if _LOCKED not in self._complaint() or time.monotonic() > deadline:
                raise MachineError(
                    f"the storage daemon of {self._images[0].path} did not start: {self._complaint()}",
                    "end the program that holds the image, or mend what it says, then start the job again",
                )
            time.sleep(0.1)

    def _started(self) -> bool:
        """It listens; False when it ended instead."""
        self._launch()
        assert self._process is not None
        deadline = time.monotonic() + START_DEADLINE
        while not self._pidfile.exists():
            if self._process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise MachineError(
                    f"the storage daemon of {self._images[0].path} was not ready in {START_DEADLINE:.0f} s",
                    "this host may be overloaded; start the job again",
                )
            time.sleep(0.01)
        return True

    def _launch(self) -> None:
        # setpriv sets it after the fork; preexec_fn could deadlock in a threaded process.
        argv = [str(find("setpriv")), "--pdeathsig", "KILL", str(find("qemu-storage-daemon"))]
        argv += arguments(self._images, self.socket, self._pidfile)
        self._pidfile.unlink(missing_ok=True)
        launched = threading.Event()
        threading.Thread(target=self._live, args=(argv, launched), name="storage daemon", daemon=True).start()
        launched.wait()

    def _live(self, argv: Sequence[str], launched: threading.Event) -> None:
        """PR_SET_PDEATHSIG knows threads, not processes: the one that starts it lives as long as it does."""
        try:
            with (self._folder / "stderr").open("wb") as stderr:
                self._process = process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True
                )
        finally:
            launched.set()
        process.wait()

    @property
    def _pidfile(self) -> Path:
        return self._folder / "pid"

    def _complaint(self) -> str:
        file = self._folder / "stderr"
        return file.read_text(errors="replace").strip() if file.exists() else ""


def arguments(images: Sequence[DiskImage], socket: Path, pidfile: Path) -> list[str]:
    """The arguments of qemu-storage-daemon, without the program's own name; the pid file comes last. Pure."""
    argv = ["--nbd-server", f"addr.type=unix,addr.path={socket}", "--pidfile", str(pidfile)]
    for image in images:
        file = {"driver": "file", "filename": str(image.path), "discard": "unmap"}
        node = {"driver": image.format, "node-name": image.name, "file": file, "discard": "unmap"}
        export = {"type": "nbd", "id": image.name, "node-name": image.name, "name": image.name}
        argv += ["--blockdev", json.dumps(node)]
        argv += ["--export", json.dumps({**export, "writable": True})]
    return argv
