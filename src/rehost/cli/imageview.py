"""An image for people and for programs. Pure, but for the size of its files."""

from dataclasses import dataclass
from typing import Any

import msgspec

from rehost.api import times
from rehost.compute.driver import BootEvidence, Image, Space
from rehost.core.server import gib
from rehost.core.units import bytes_text

COLUMNS = ("id", "name", "state", "created", "disks GiB>", "on disk>", "boot check", "job")


@dataclass(frozen=True, slots=True)
class Look:
    """An image and what is known of it; None: not yet."""

    image: Image
    space: Space
    conversion: dict[str, Any] | None
    evidence: BootEvidence | None


def row(look: Look) -> tuple[object, ...]:
    image = look.image
    disks = " + ".join(str(gib(disk.size)) for disk in image.disks)
    taken = bytes_text(look.space.layer + look.space.overlay)
    created, verdict = times.write(image.created), _verdict(look.evidence)
    return image.id, image.name, image.state, created, disks, taken, verdict, image.job


def fields(look: Look) -> dict[str, object]:
    """What `rehost image show` prints, in its order."""
    image, conversion, evidence = look.image, look.conversion, look.evidence
    shown: dict[str, object] = {
        "id": image.id,
        "name": image.name,
        "description": image.description,
        "state": image.state,
        "error": image.error,
        "job": image.job,
        "run": image.run,
        "its run wrote": bytes_text(look.space.layer),
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


def as_json(look: Look) -> dict[str, Any]:
    """The image's record with the reports on its conversion and boot check (null before there were any)."""
    record: dict[str, Any] = msgspec.to_builtins(look.image, enc_hook=str)
    reports = {"conversion": look.conversion, "boot_check": msgspec.to_builtins(look.evidence)}
    return record | {"space": msgspec.to_builtins(look.space)} | reports


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
