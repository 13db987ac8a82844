"""The agent as a service: `python -m bench.agent FOLDER` is up and waits, and carries out a run when told to.

FOLDER has a Task in task.json and two FIFOs: a line in `go` begins the run, its exit status is in `done`
afterwards, and its report in report.json. It says `up` once it waits.
"""

import sys
import threading
import traceback
from pathlib import Path

import msgspec

from rehost.agent.copy.run import Settings, carry_out
from rehost.agent.survey import inventory
from rehost.core.agentapi import Assignment
from rehost.wire.tls import client_context


class Task(msgspec.Struct):
    assignment: Assignment
    ca: str  # PEM
    state: str  # the folder of what is kept for the next run; empty: nothing is


def main() -> None:
    folder = Path(sys.argv[1])
    task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
    found = inventory.collect([volume.disk_path for volume in task.assignment.volumes])
    context = client_context(task.ca)
    settings = Settings(state=Path(task.state) if task.state else None)
    print("up", flush=True)
    (folder / "go").read_text()
    status = 1
    try:
        report = carry_out(task.assignment, found, context, lambda _: None, threading.Event(), settings)
        (folder / "report.json").write_bytes(msgspec.json.encode(report))
        status = 0
    except Exception:  # noqa: BLE001 - whoever waits for `done` is to hear of it
        traceback.print_exc()
    (folder / "done").write_text(f"{status}\n")


if __name__ == "__main__":
    main()
