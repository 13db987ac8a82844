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

from . import conversion, cpio, facts, guestagent, inspection, packages, system
from .devices import DeviceNames
from .job import Answer, Job, from_json
from .system import GuestError
from .tree import Changes, Tree

PORT = "org.rehost.result"
ROOT = Path("/run/root")


Say = Callable[[str], None]


class Steps:
    """Says what is being done and measures how long it took."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._say(name)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)


def convert(job: Job, say: Say) -> Answer:
    step = Steps(say)
    with step("inspecting"):
        guest = _open(job)
        kernels = conversion.find_kernels(guest.tree)
        versions = [kernel.version for kernel in kernels]
        found = inspection.describe(guest.tree, guest.root, versions)
        installed = packages.installed(guest.tree.read("/var/lib/dpkg/status"))
    with step("editing"):
        link_files = _edit(guest, installed)
    with step("drivers"):
        conversion.drivers(guest, kernels, link_files)
    with step("guest agent"):
        added = guestagent.install(guest, job.packages, installed, found.codename)
    with step("unmounting"):
        system.unmount(ROOT)
    return Answer(found, guest.changes.made, added, guest.notes, step.seconds)


def _open(job: Job) -> conversion.Guest:
    """Find the guest on the disks and mount what belongs to its system."""
    inspection.check_boot_disk(job.disks[0])
    volumes = inspection.find_volumes(job)
    names = DeviceNames(volumes, inspection.source_disks(job))
    root, repaired = inspection.find_root(volumes, ROOT)
    tree = Tree(ROOT)
    notes = [f"{root.source}: {repaired}"] if repaired else []
    notes += inspection.mount_system(tree, names)
    return conversion.Guest(job, tree, Changes(tree), names, root, notes)


def _edit(guest: conversion.Guest, installed: packages.Installed) -> list[cpio.Entry]:
    """Everything but the drivers; the files that their initramfs has to have as well."""
    conversion.file_systems(guest)
    conversion.boot_loader(guest)
    conversion.console(guest)
    conversion.stale_files(guest)
    conversion.old_tools(guest, installed)
    return conversion.network_names(guest, facts.major(installed.versions.get("systemd", "")))


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
