"""An agent's run as a process of its own, to be killed and stopped.

    python agent_process.py JSON

The JSON is a Task. Says "frozen" for each freeze in which it waits, and at the end its Outcome.
"""

import sys
import threading
from pathlib import Path

import msgspec

from rehost.agent.copy.run import Settings, carry_out
from rehost.agent.hooks import Place
from rehost.agent.survey import disks, inventory
from rehost.agent.survey.host import Host
from rehost.block.device import Device
from rehost.block.file import open_source
from rehost.block.filters import Throttle
from rehost.core.agentapi import Assignment, RunReport
from rehost.core.errors import RehostError
from rehost.wire.tls import client_context


class Task(msgspec.Struct):
    assignment: Assignment
    ca: str
    rate: float = 0.0  # bytes a second; 0: as fast as can be
    waits_frozen: bool = False  # inside each freeze, for a line of input
    attempts: int = 3
    state: str = ""  # the folder of the checkpoint
    hooks: Place | None = None
    watches: bool = False  # for disks that the server does not have yet


class Outcome(msgspec.Struct):
    report: RunReport | None = None
    error: str = ""
    peak: int = 0  # bytes of memory that the process had at most


def main() -> None:
    task = msgspec.json.decode(sys.argv[1], type=Task, dec_hook=lambda kind, value: kind(value))
    outcome = outcome_of(task)
    outcome.peak = peak_memory("self")
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


def peak_memory(process: str) -> int:
    """Bytes that a process had in memory at most so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def outcome_of(task: Task) -> Outcome:
    def open_device(path: Path) -> Device:
        return Throttle(open_source(path), task.rate) if task.rate else open_source(path)

    wanted = [] if task.watches else [volume.disk_path for volume in task.assignment.volumes]

    def while_frozen() -> None:
        if task.waits_frozen:
            print("frozen", flush=True)
            sys.stdin.readline()

    try:
        return Outcome(
            carry_out(
                task.assignment,
                inventory.collect(wanted),
                client_context(task.ca),
                lambda _: None,
                threading.Event(),
                Settings(
                    open_device=open_device,
                    while_frozen=while_frozen,
                    freeze_attempts=task.attempts,
                    state=Path(task.state) if task.state else None,
                    hooks=task.hooks,
                    present=(lambda: disks.present(Host())) if task.watches else None,
                ),
            )
        )
    except RehostError as error:
        return Outcome(error=str(error))


if __name__ == "__main__":
    main()
