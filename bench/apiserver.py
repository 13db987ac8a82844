"""The application as a process: `python -m bench.apiserver FOLDER ROWS [--tls] [--database URL]`.

It fills its records with so many source servers and as many jobs, and says in one line of JSON where it
listens and who may call it. Runs are not carried out: there is no engine.
"""

import argparse
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rehost.api import serving
from rehost.api.app import App
from rehost.cli import keyring
from rehost.store.jobspec import DiskSpec, JobSpec, PartSpec
from rehost.store.schema import jobs, source_servers
from rehost.store.servers import hash_secret
from rehost.store.transition import SPEC_COLUMNS
from tests.api.world import ACCOUNT, INVENTORY, World

AHEAD = 86400.0  # seconds: sources without an agent stay Available for the time of the bench
CREATING = [f"creating-{number}" for number in range(8)]  # accounts whose sources have no jobs yet
EACH = 900  # sources of such an account; its quota of jobs is 1,000
_SPEC = JobSpec(
    "", region="local",
    system_disk=DiskSpec(0, 25, (PartSpec("0_0", 24 << 30), PartSpec("0_1", 512 << 20))),
    data_disks=(DiskSpec(1, 30, (PartSpec("1_0", 29 << 30),)),),
)  # fmt: skip


def source_id(number: int) -> str:
    return f"s-{number:020d}"


def secret(number: int) -> str:
    return f"{number:064x}"


def source(number: int, account: str, now: float) -> dict[str, Any]:
    return {
        "id": source_id(number), "account": account, "secret_hash": hash_secret(secret(number)),
        "name": f"web{number}", "description": "a web server", "deleting": False, "inventory": INVENTORY,
        "system_info": '{"cores":"2","memory":"2048"}', "agent_version": "0.1.0", "heartbeat": now + AHEAD,
        "heartbeat_rate": 30, "error_code": "", "error_msg": "", "assignment": None, "assignment_version": 1,
        "created": now - 1e6 + number,
    }  # fmt: skip


def _job(number: int, now: float) -> dict[str, Any]:
    """One in a hundred is Ready, so that a filter finds a hundredth."""
    asked = {name: getattr(_SPEC, name) for name in SPEC_COLUMNS}
    return {
        **asked, "id": f"j-{number:020d}", "account": ACCOUNT, "source_id": source_id(number),
        "name": f"job{number}", "status": "Finished" if number % 100 else "Ready",
        "business_status": "", "error_code": "", "status_info": "", "progress": 100.0, "image_id": "",
        "transition_instance_id": "", "current_run": "", "created": now - 1e6 + number, "started": None,
        "ended": None,
    }  # fmt: skip


def _creating(first: int, now: float) -> Iterator[dict[str, Any]]:
    for place, account in enumerate(CREATING):
        yield from (source(first + place * EACH + number, account, now) for number in range(EACH))


def fill(world: World, rows: int, creating: bool) -> None:
    now = time.time()
    with world.store.database.write() as connection:
        connection.execute(source_servers.insert(), [source(number, ACCOUNT, now) for number in range(rows)])
        connection.execute(jobs.insert(), [_job(number, now) for number in range(rows)])
        if creating:
            connection.execute(source_servers.insert(), list(_creating(rows, now)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--creating", action="store_true")
    parser.add_argument("--database", default="")
    arguments = parser.parse_args()
    world = World.make(arguments.folder, arguments.database or arguments.folder)
    fill(world, arguments.rows, arguments.creating)
    keys = keyring.ensure(arguments.folder)
    files = (keys.server_certificate, keys.server_key) if arguments.tls else ()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    callers = [world.key, *(world.store.keys.create(account) for account in CREATING)]
    print(
        json.dumps({"port": listener.getsockname()[1], "callers": [(key.id, key.secret) for key in callers]}),
        flush=True,
    )
    serving.server(App(world.services), world.services.wakeups, *files).run(sockets=[listener])


if __name__ == "__main__":
    main()
