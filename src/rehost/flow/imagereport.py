"""How an image was made and how it booted, in short: JSON that stays with its run. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from rehost.compute.driver import BootEvidence


def conversion_text(report: Mapping[str, Any] | None) -> str:
    """Each file that was changed, why, and what else is to be known; without the changes themselves."""
    if report is None:
        return ""
    changes = report.get("changes", ())
    files = [{name: change.get(name, "") for name in ("path", "kind", "reason")} for change in changes]
    kept = {name: report.get(name, []) for name in ("packages", "notes")}
    return _text({"files": files, **kept, "seconds": report.get("total_seconds", 0.0)})


def boot_text(evidence: BootEvidence | None) -> str:
    if evidence is None:
        return ""
    guest, command = evidence.guest, evidence.command
    known = {
        "verdict": evidence.verdict.verdict,
        "seconds": evidence.seconds,
        "accelerator": evidence.accelerator,
        "milestones": {each.name: each.seconds for each in evidence.verdict.milestones},
        "system": guest.system if guest else evidence.guest_problem,
        "failed_units": guest.failed_units if guest else (),
        "command_exit_code": command.exit_code if command else None,
    }
    return _text({name: value for name, value in known.items() if value is not None})


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
