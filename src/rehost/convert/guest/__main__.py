"""Runs in the helper VM: python3 -m guest JOB; the answer goes to a virtio-serial port as JSON lines."""

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import conversion, facts, guestagent, inspection, packages, system
from .devices import DeviceNames
from .job import Answer, Job, from_json
from .system import GuestError
from .tree import Changes, Tree

PORT = "org.rehost.result"
ROOT = Path("/run/root")


def convert(job: Job, progress: Callable[[str], None]) -> Answer:
    seconds: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        progress(name)
        start = time.monotonic()
        yield
        seconds[name] = round(time.monotonic() - start, 2)

    with step("inspecting"):
        inspection.check_boot_disk(job.disks[0])
        volumes = inspection.find_volumes(job)
        names = DeviceNames(volumes, inspection.source_disks(job))
        root, repaired = inspection.find_root(volumes, ROOT)
        tree = Tree(ROOT)
        notes = [f"{root.source}: {repaired}"] if repaired else []
        notes += inspection.mount_system(tree, names)
        kernels = conversion.find_kernels(tree)
        found = inspection.describe(tree, root, [kernel.version for kernel in kernels])
        installed = packages.installed(tree.read("/var/lib/dpkg/status"))
    changes = Changes(tree)
    guest = conversion.Guest(job, tree, changes, names, root, notes)
    with step("editing"):
        conversion.file_systems(guest)
        conversion.boot_loader(guest)
        conversion.console(guest)
        conversion.stale_files(guest)
        conversion.old_tools(guest, installed)
        systemd = facts.major(installed.versions.get("systemd", ""))
        link_files = conversion.network_names(guest, systemd)
    with step("drivers"):
        conversion.drivers(guest, kernels, link_files)
    with step("guest agent"):
        added = guestagent.install(guest, job.packages, installed, found.codename)
    with step("unmounting"):
        system.unmount(ROOT)
    return Answer(found, changes.made, added, notes, seconds)


def main() -> int:
    with _port().open("w", buffering=1) as port:

        def tell(message: dict[str, Any]) -> None:
            port.write(json.dumps(message) + "\n")

        try:
            job = from_json(json.loads(Path(sys.argv[1]).read_text()))
            answer = convert(job, lambda text: tell({"progress": text}))
            tell({"answer": asdict(answer)})
        except GuestError as error:
            tell({"error": {"what": error.what, "advice": error.advice}})
            return 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the host has to hear of it
            traceback.print_exc()
            tell({"error": {"what": f"{type(error).__name__}: {error}", "advice": ""}})
            return 1
    return 0


def _port() -> Path:
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text().strip() == PORT:
            return Path("/dev") / name.parent.name
    raise SystemExit(f"the helper VM has no port {PORT}")


if __name__ == "__main__":
    sys.exit(main())
