"""The agent's run as a process here, which tests talk to, stop and kill."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.agent import agent_process
from tests.agent.agent_process import Task
from tests.agent.copying import Lab


@contextmanager
def agent(
    site: Lab, home: Path | None = None, prefix: Sequence[str] = (), **task: object
) -> Iterator["subprocess.Popen[bytes]"]:
    """An agent's process.

    `home` is where it keeps whatever it writes by itself, `prefix` a command that runs it.
    """
    ca = (site.site.data / "keys" / "server.crt").read_text()
    text = msgspec.json.encode(Task(site.assignment, ca, **task), enc_hook=str).decode()  # type: ignore[arg-type]
    with subprocess.Popen(
        [*prefix, sys.executable, agent_process.__file__, text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=home,
        env=os.environ
        | (
            {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(home), "TMPDIR": str(home)}
            if home
            else {}
        ),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(process: "subprocess.Popen[bytes]") -> None:
    """The line of input that a frozen one waits for; BrokenPipeError if it is gone."""
    assert process.stdin is not None
    os.write(process.stdin.fileno(), b"go\n")
