"""StatusInfo: the JSON that says more of a job or a source server than its state."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from rehost.core.agentapi import DiskProgress, Progress, Result

WAITS_FOR_ROOM = "waiting for room"  # the phase of a job whose start was asked for while others run

MOST_PLACES = 100  # of unreadable bytes that are listed; the run's report has all


def sync_info(progress: Progress) -> str:
    """While the agent copies: the round and each disk's figures."""
    disks = [_disk(disk, progress.round) for disk in progress.disks]
    info = {"phase": progress.phase, "round": progress.round, "kind": progress.kind, "disks": disks}
    return _text(info | ({"message": progress.note} if progress.note else {}))


def offline_info(progress: Progress | None, since: float) -> str:
    """While a copy waits for its source server; what is known of the disks stays readable, but that they
    stand still."""
    when = _time(since)
    message = f"the source server was last heard of at {when}; the copy goes on when its agent is back"
    disks = []
    if progress is not None:
        still = [replace(disk, rate=0.0, send_rate=0.0, eta=None) for disk in progress.disks]
        disks = [_disk(disk, progress.round) for disk in still]
    return _text({"phase": "source offline", "message": message, "disks": disks})


def host_away_info(host: str, since: float, *, deleting: bool = False) -> str:
    """While no host that has a job's volumes is there; `since` 0: its own was stopped in order."""
    how = f"was last heard of before {_time(since)}" if since else "is stopped"
    then = "goes on when rehost is started there again. To copy it anew to another host: rehost worker resync"
    if deleting:
        then = "is deleted when rehost is started there again. If it never will be: rehost worker forget"
    message = f"the host {host} {how}, and none that is at work has its volumes too; the job {then} {host}"
    return _text({"phase": "host away", "message": message})


def phase_info(phase: str, message: str = "") -> str:
    """While rehost itself works or waits."""
    return _text({"phase": phase, "message": message} if message else {"phase": phase})


def copy_info(result: Result | None) -> str:
    """After a run: how its copy went, above all how long the source was frozen, and why then."""
    if result is None or result.report is None:
        return ""
    report = result.report
    copy = {
        "basis": report.basis,
        "rounds": len(report.rounds),
        "read": report.read,
        "sent": report.sent,
        "freeze_seconds": report.freeze_seconds,
        "freeze_expected": report.freeze_expected,
        "held_seconds": report.held_seconds,
        "looked_seconds": report.looked_seconds,
        "freeze_reason": report.freeze_reason,
        "limits": report.limits,
        "unreadable_bytes": sum(lost.end - lost.start for lost in report.unreadable),
        "unreadable": report.unreadable[:MOST_PLACES],
        "hooks": report.hooks,
        "partitions": report.consistency,
    }
    return _text({"copy": copy})


def error_info(code: str, what: str, advice: str) -> str:
    return _text({"error_code": code, "error_msg": what, "advice": advice})


def _disk(disk: DiskProgress, round_number: int) -> dict[str, object]:
    return {
        "disk": disk.disk,
        "total": disk.total,
        "done": disk.done,
        "read": disk.read,
        "sent": disk.sent,
        "changed": disk.changed,
        "rate": disk.rate,
        "eta": disk.eta,
        "send_rate": disk.send_rate,
        "backlog": disk.backlog,
        "unreadable": disk.unreadable,
        "round": round_number,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
