"""The agent's run as a process: `python -m bench.agent FILE`, which has a Task in JSON.

The run's report is in report.json beside it.
"""

import sys
import threading
from pathlib import Path

import msgspec

from rehost.agent import inventory
from rehost.agent.run import Settings, carry_out
from rehost.core.agentapi import Assignment
from rehost.wire.tls import client_context


class Task(msgspec.Struct):
    assignment: Assignment
    ca: str  # PEM
    state: str  # the folder of what is kept for the next run; empty: nothing is


def main() -> None:
    task = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Task)
    report = carry_out(
        task.assignment,
        inventory.collect([volume.disk_path for volume in task.assignment.volumes]),
        client_context(task.ca),
        lambda _: None,
        threading.Event(),
        Settings(state=Path(task.state) if task.state else None),
    )
    Path(sys.argv[1]).with_name("report.json").write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
