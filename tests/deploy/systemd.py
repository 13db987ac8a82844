"""A host with systemd as its first process, made of this one in namespaces; what it writes goes with it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.serving import until

ROOT = Path(__file__).parents[2]
SPACES = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child")


class Host:
    def __init__(self, boots: int) -> None:
        """`boots`: the process that began it."""
        self._boots = boots

    def sh(self, script: str, seconds: float = 120) -> str:
        """What a shell as root on it prints; it has to end well."""
        command = ["nsenter", "--target", str(self._first()), "--all", "--root", "--wd=/", "/bin/sh", "-euc"]
        done = subprocess.run(
            [*command, f"cd /\n{script}"], capture_output=True, text=True, check=False, timeout=seconds
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def _first(self) -> int:
        children = Path(f"/proc/{self._boots}/task/{self._boots}/children")
        return int(children.read_text().split()[0])

    def up(self) -> bool:
        """The service listens."""
        try:
            return self.sh("cat /var/lib/rehost/serve.json || true") != ""
        except (AssertionError, IndexError):
            return False


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    command = ["unshare", *SPACES, ROOT / "tests/deploy/boot", folder, ROOT]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    made = Host(process.pid)
    try:
        until(made.up, lambda: (folder / "log").read_text(), 90)
        yield made
    finally:
        process.kill()
        process.wait()
