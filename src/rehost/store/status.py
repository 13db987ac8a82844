"""StatusInfo: the JSON that says more of a job or a source server than its state."""

import msgspec

from rehost.core.agentapi import DiskProgress, Progress


def sync_info(progress: Progress) -> str:
    """While the agent copies: the round and each disk's figures."""
    disks = [_disk(disk, progress.round) for disk in progress.disks]
    return _text({"phase": progress.phase, "round": progress.round, "kind": progress.kind, "disks": disks})


def phase_info(phase: str, message: str = "") -> str:
    """While rehost itself works or waits."""
    return _text({"phase": phase, "message": message} if message else {"phase": phase})


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
        "round": round_number,
    }


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
