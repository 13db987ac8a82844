"""The API as a process of its own, on a store that others may have open too.

As a program: `python -m tests.api.program RECORDS [POINT]` prints its port. At the point ("start", "deleted")
it kills itself with SIGKILL: in the middle of an action that changes something.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rehost.api import serving
from rehost.api.app import App
from rehost.api.services import Services
from rehost.api.wakeups import Wakeups
from rehost.flow.lifecycle import Lifecycle
from rehost.store.keys import AccessKey
from rehost.store.runs import Run, RunType
from rehost.store.store import Store
from tests.api.signed import sign_v1, v1_parameters
from tests.api.world import Workflows

ROOT = Path(__file__).parents[2]


class DyingLifecycle(Lifecycle):
    """Dies when a job is to be started: before it is, or after."""

    point = ""

    def start(self, job_id: str, actor: str, kind: RunType = RunType.MANUAL) -> Run:
        if self.point == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        run = super().start(job_id, actor, kind)
        if self.point == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return run


def _main(records: str, point: str) -> None:
    store = Store.open(records if "://" in records else Path(records), bytes(32))
    lifecycle = DyingLifecycle(store, Workflows(), wake=lambda: None)
    lifecycle.point = point
    wakeups = Wakeups(store.assignments.versions)
    services = Services(store, lifecycle, wakeups, lambda endpoint: "", lambda: Path("none"))
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        serving.server(App(services), wakeups).run(sockets=[listener])
    store.close()


class ApiProcess:
    """Starts it, and asks it."""

    def __init__(self, records: Path | str, point: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.program", str(records), point],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def close(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def send(self, signed: dict[str, str], timeout: float = 60) -> dict[str, Any]:
        """The reply to a GET, whatever its status; OSError when there is none."""
        url = f"http://127.0.0.1:{self.port}/?{urlencode(signed)}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))

    def call(
        self, key: AccessKey, now: float, action: str, *, timeout: float = 60, **business: str
    ) -> dict[str, Any]:
        signed = sign_v1("GET", v1_parameters(key, now, action, **business), key.secret)
        return self.send(signed, timeout)

    def memory(self) -> int:
        """Bytes resident at most so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
