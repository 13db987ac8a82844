"""The control plane of the demo: `rehost serve` on a data folder of its own, by its command line."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from rehost.core.errors import ControlPlaneError
from rehost.machine.programs import find

START_DEADLINE = 60.0
END_DEADLINE = 20.0
LOOK = 0.1
PROGRAM = Path(sys.executable).with_name("rehost")


class ControlPlane:
    """A running `rehost serve`; a context manager that ends it."""

    def __init__(self, data: Path, cache: Path, log: Path, ports: tuple[int, int] = (0, 0)) -> None:
        """Starts it; the data folder is made if it is not there. ControlPlaneError when it does not serve.

        `ports`: of the API, and of the data plane; 0: any.
        """
        self.data = data
        self._log = log
        # If the demo itself is killed, what it started must not stay behind.
        argv = [str(find("setpriv")), "--pdeathsig", "TERM", str(PROGRAM), "serve", "--data", str(data)]
        argv += ["--listen", f"127.0.0.1:{ports[0]}", "--receive-listen", f"127.0.0.1:{ports[1]}"]
        argv += ["--helper-cache", str(cache)]
        with log.open("wb") as output:
            # A session of its own: Ctrl-C is for the demo, which then ends this in order.
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        try:
            self._serving = self._wait()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """https://HOST:PORT as this host reaches it."""
        return str(self._serving["endpoint"])

    @property
    def ports(self) -> tuple[int, int]:
        """Of the API, and of the data plane."""
        return int(self._serving["port"]), int(self._serving["receiver_port"])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def first_access_key(self) -> Path:
        return Path(self._serving["first_key_file"])

    def activation_line(self, host: str) -> str:
        """The line that installs the agent on a server which reaches this control plane at `host`."""
        endpoint = f"https://{host}:{self.ports[0]}"
        made = self._command(["code", "create", "--name", "demo", "--endpoint", endpoint, "--json"])
        return str(json.loads(made)["install"])

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _command(self, words: Sequence[str]) -> str:
        argv = [str(PROGRAM), *words, "--data", str(self.data)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise ControlPlaneError(f"`rehost {' '.join(words)}` failed: {done.stderr.strip()}")
        return done.stdout

    def _wait(self) -> dict[str, Any]:
        """What it says of itself once it serves; an older start's file has another process id."""
        deadline, file = time.monotonic() + START_DEADLINE, self.data / "serve.json"
        while time.monotonic() < deadline and self._process.poll() is None:
            if file.exists() and (serving := json.loads(file.read_text()))["pid"] == self._process.pid:
                return dict(serving)
            time.sleep(LOOK)
        words = self._log.read_text(errors="replace").strip()[-1000:]
        raise ControlPlaneError(
            f"`rehost serve` does not serve: {words or 'it says nothing'}", f"see {self._log}"
        )
