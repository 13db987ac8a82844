"""An image for people and for programs. Pure, but for the size of its files."""

from typing import Any

import msgspec

from rehost.api import times
from rehost.compute.driver import BootEvidence, Image
from rehost.core.server import gib
from rehost.core.units import bytes_text

COLUMNS = ("id", "name", "state", "created", "disks GiB>", "boot check", "job")


def row(image: Image, evidence: BootEvidence | None) -> tuple[object, ...]:
    disks = " + ".join(str(gib(disk.size)) for disk in image.disks)
    return image.id, image.name, image.state, times.write(image.created), disks, _verdict(evidence), image.job


def fields(
    image: Image, conversion: dict[str, Any] | None, evidence: BootEvidence | None
) -> dict[str, object]:
    """What `rehost image show` prints, in its order."""
    shown: dict[str, object] = {
        "id": image.id,
        "name": image.name,
        "description": image.description,
        "state": image.state,
        "error": image.error,
        "job": image.job,
        "region": image.region,
        "created": times.write(image.created),
        "network card": image.mac,
    }
    for disk in image.disks:
        own = bytes_text(disk.path.stat().st_blocks * 512)
        shown[f"disk {disk.volume}"] = f"{bytes_text(disk.size)}, {own} of its own: {disk.path}"
    shown |= _conversion_fields(image, conversion) if conversion is not None else {"conversion": "not yet"}
    shown |= _boot_fields(image, evidence) if evidence is not None else {"boot check": "not yet"}
    return {name: value for name, value in shown.items() if value != ""}


def as_json(image: Image, conversion: dict[str, Any] | None, evidence: BootEvidence | None) -> dict[str, Any]:
    """The image's record with the reports on its conversion and boot check (null before there were any)."""
    record: dict[str, Any] = msgspec.to_builtins(image, enc_hook=str)
    return record | {"conversion": conversion, "boot_check": msgspec.to_builtins(evidence)}


def _verdict(evidence: BootEvidence | None) -> str:
    return evidence.verdict.verdict if evidence is not None else "not yet"


def _conversion_fields(image: Image, conversion: dict[str, Any]) -> dict[str, object]:
    changes = conversion.get("changes", [])
    return {
        "conversion": f"{len(changes)} files changed, see {image.folder / 'report.json'}",
        "changed": "\n".join(f"{change.get('path')}: {change.get('reason')}" for change in changes),
        "notes": "\n".join(map(str, conversion.get("notes", []))),
    }


def _boot_fields(image: Image, evidence: BootEvidence) -> dict[str, object]:
    reached = ", ".join(f"{stage.name} {stage.seconds:.1f} s" for stage in evidence.verdict.milestones)
    shown: dict[str, object] = {
        "boot check": f"{evidence.verdict.verdict}, {evidence.seconds:.0f} s on {evidence.accelerator}",
        "reached": reached,
        "guest": evidence.guest.system if evidence.guest else evidence.guest_problem,
    }
    if evidence.guest:
        shown["failed units"] = " ".join(evidence.guest.failed_units)
        shown["mounts"] = "\n".join(evidence.guest.mounts)
        shown["addresses"] = "\n".join(evidence.guest.addresses)
    if evidence.command:
        shown["command"] = f"{evidence.command.command} (exit code {evidence.command.exit_code})"
    shown["screenshot"] = image.boot_folder / evidence.screenshot if evidence.screenshot else ""
    shown["serial log"] = image.boot_folder / "serial.log"
    return shown
