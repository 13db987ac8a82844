"""A replication job for people: its state in a line, its disks as a table, drawn again and again. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rehost.core.job import OVER, Status
from rehost.core.units import bytes_text, rate_text
from rehost.store.status import WAITS_FOR_ROOM

_ENDED = OVER | {Status.IN_ERROR, Status.STOPPED, Status.WAITING}

Job = Mapping[str, Any]  # as DescribeReplicationJobs answers it


def status_info(job: Job) -> dict[str, Any]:
    """What StatusInfo says; it is absent while there is nothing to say."""
    info = json.loads(job.get("StatusInfo") or "{}")
    return info if isinstance(info, dict) else {}


def is_over(job: Job) -> bool:
    """It does not go on by itself, for now at least. A start that waits for room comes by itself."""
    return job["Status"] in _ENDED and not waits_for_room(job)


def waits_for_room(job: Job) -> bool:
    return status_info(job).get("phase") == WAITS_FOR_ROOM


def state(job: Job) -> str:
    return "/".join(part for part in (job["Status"], job.get("BusinessStatus")) if part)


def percent(job: Job) -> str:
    """Rounded down: 100 % is what has ended."""
    return f"{int(job.get('Progress') or 0)} %"


def doing(job: Job) -> str:
    """What a running job does just now; empty for one that does nothing."""
    info = status_info(job)
    words = [str(info.get("phase", ""))]
    if info.get("round"):
        words.append(f"round {info['round']} ({info.get('kind', '')})")
    words.append(str(info.get("message", "")))
    return "  ".join(word for word in words if word)


def periodic(job: Job) -> str:
    """When a job runs again and what it keeps; empty for one that runs once, or is over."""
    if job.get("RunOnce", True) or job["Status"] in OVER:
        return ""
    return f"{job['Frequency']} h after each run; the newest {job['MaxNumberOfImageToKeep']} images are kept"


def times(job: Job) -> dict[str, str]:
    """When a job that has not begun starts by itself, and when one that is not over expires."""
    begins = job.get("ScheduledStartTime") if job["Status"] == "Ready" else None
    expires = None if job["Status"] in OVER else job.get("ValidTime")
    return {name: when for name, when in (("starts", begins), ("valid until", expires)) if when}


def runs(job: Job) -> str:
    """A line for each run, the oldest first."""
    return "\n".join(map(_run, _runs(job)))


def _run(run: Mapping[str, Any]) -> str:
    """When it began, its image, and what it took; an older rehost told less of it."""
    image = f"{run.get('ImageId') or '-'}{' (deleted)' if run.get('ImageDeleted') else ''}"
    parts = [f"{run['StartTime']} {run['Type']:8}", image, "" if run.get("EndTime") else "(not ended)"]
    if "Rounds" in run:
        parts += [_took(run["Rounds"], run["Read"], run["Sent"]), f"frozen for {run['FreezeSeconds']:.2f} s"]
    if files := json.loads(run.get("Conversion") or "{}").get("files"):
        parts.append(f"{len(files)} files changed")
    if booted := json.loads(run.get("BootCheck") or "{}"):
        parts.append(f"boot check {booted['verdict']}")
    return "  ".join(filter(None, [*parts, run.get("Error")]))


def _took(rounds: int, read: int, sent: int) -> str:
    return f"{rounds} rounds, {bytes_text(read)} read, {bytes_text(sent)} sent"


def image(job: Job) -> str:
    """The newest one, and whether it is there still; empty if there was none."""
    found = job.get("ImageId") or ""
    gone = any(run.get("ImageDeleted") for run in _runs(job) if run.get("ImageId") == found)
    return f"{found} (deleted)" if gone else found


def failure(job: Job) -> str:
    """What went wrong and what to do next, of a job that is InError or cannot be deleted; else empty."""
    info = status_info(job)
    if waits_for_room(job) or (job["Status"] != "InError" and "error_msg" not in info):
        return ""
    code = job.get("ErrorCode") or info.get("error_code")
    lines = [f"{code}: {info.get('error_msg', 'no more is known')}", info.get("advice", "")]
    return "\n".join(line for line in lines if line)


def roots(job: Job) -> dict[str, str]:
    """By disk, the root over what the last run copied; nothing before there is one."""
    found = [run["Roots"] for run in _runs(job) if run.get("Roots")]
    return (
        {f"root of disk {number}": root for number, root in enumerate(found[-1].split(","))} if found else {}
    )


def _runs(job: Job) -> list[dict[str, Any]]:
    return (job.get("ReplicationJobRuns") or {}).get("ReplicationJobRun") or []


def copied(job: Job) -> dict[str, str]:
    """How the last run's copy went, by the names of a `show` command; empty while there is none.

    An older rehost told less of it.
    """
    copy = status_info(job).get("copy")
    if not copy:
        return {}
    lines = {
        "built on": "\n".join(copy.get("basis", ())),
        "copy": _took(copy["rounds"], copy["read"], copy["sent"]),
        "frozen for": _frozen(copy),
        "frozen then": copy.get("freeze_reason"),
        "limits": "\n".join(copy.get("limits", ())),
        "partitions": "\n".join(_partition(partition) for partition in copy.get("partitions", ())),
        "unreadable": "\n".join(_unreadable(copy)),
        "hooks": "\n".join(_hook(hook) for hook in copy.get("hooks", ())),
    }
    return {name: text for name, text in lines.items() if text}


def _frozen(copy: Mapping[str, Any]) -> str:
    """How long, how long that was expected to be, and what it went to."""
    seconds, held = copy["freeze_seconds"], copy["held_seconds"]
    if not copy.get("freeze_expected"):
        return f"{seconds:.2f} s (all together {held:.2f} s)"
    looked = copy["looked_seconds"]
    return (
        f"{seconds:.2f} s ({copy['freeze_expected']:.2f} s expected): {seconds - held:.2f} s to freeze and"
        f" thaw, {looked:.2f} s for maps of used blocks, {held - looked:.2f} s to read"
    )


def _unreadable(copy: Mapping[str, Any]) -> Iterator[str]:
    if copy.get("unreadable_bytes"):
        yield f"{bytes_text(copy['unreadable_bytes'])} are zeroes in the copy:"
    for lost in copy.get("unreadable", ()):
        where = f" ({lost['where']})" if lost["where"] else ""
        yield f"disk {lost['disk']}, bytes {lost['start']} to {lost['end']}{where}"


def _partition(partition: Mapping[str, Any]) -> str:
    return f"{partition['device']} {partition['way']}: {partition['reason']}"


def _hook(hook: Mapping[str, Any]) -> str:
    said = f"; {hook['output'].splitlines()[-1]}" if hook["output"] else ""
    return f"{hook['stage']}/{hook['name']}: {hook['outcome']}, {hook['seconds']:.1f} s{said}"


def event(happened: Mapping[str, Any]) -> tuple[str, ...]:
    """A row: time, event, state, how long it lasted, who asked for it, why."""
    duration = happened.get("Duration")
    return (
        happened["Time"],
        happened["Event"],
        happened["State"],
        "" if duration is None else seconds_text(duration),
        happened["Actor"],
        happened["Detail"],
    )


def seconds_text(seconds: float | None) -> str:
    """130 -> 2:10; a dash for what is not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def live(job: Job) -> RenderableType:
    """One picture of a running job."""
    info = status_info(job)
    line = Text.assemble((state(job), "bold"), f"  {percent(job)}  {doing(job)}")
    disks = info.get("disks") or []
    return Group(line, _disk_table(disks), Text(_sums(disks), "dim")) if disks else line


def disks(job: Job) -> dict[str, str]:
    """Each disk's figures while it is copied, by the names of a `show` command; empty at other times."""
    return {f"disk {disk['disk']}": _figures(disk) for disk in status_info(job).get("disks") or ()}


def _figures(disk: Mapping[str, Any]) -> str:
    done, total, written = disk["done"], disk["total"], disk.get("backlog")
    words = [
        f"{bytes_text(done)} of {bytes_text(total)}",
        f"{bytes_text(max(total - done, 0))} left",
        f"{bytes_text(disk['read'])} read",
        f"{bytes_text(disk['sent'])} sent",
        rate_text(disk["rate"]),
        f"ETA {seconds_text(disk.get('eta'))}",
        "" if written is None else f"{bytes_text(written)} written meanwhile",
    ]
    return ", ".join(filter(None, words))


def _sums(disks: list[Mapping[str, Any]]) -> str:
    """What the network carries, and what has come up meanwhile, over all disks."""
    words = [f"{rate_text(sum(disk.get('send_rate', 0.0) for disk in disks))} on the wire"]
    written = [disk.get("backlog") for disk in disks]
    if any(size is not None for size in written):
        words.append(f"{bytes_text(sum(size or 0 for size in written))} written meanwhile")
    if unreadable := sum(disk.get("unreadable", 0) for disk in disks):
        words.append(f"{bytes_text(unreadable)} unreadable, zero in the copy")
    return ", ".join(words)


def _disk_table(disks: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for title in ("disk", "", "done", "of", "read", "sent", "rate", "ETA"):
        table.add_column(title, justify="left" if title in ("disk", "") else "right", no_wrap=True)
    for disk in disks:
        table.add_row(*_disk_row(disk))
    return table


def _disk_row(disk: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield str(disk["disk"])
    yield ProgressBar(total=max(disk["total"], 1), completed=disk["done"], width=10)
    for name in ("done", "total", "read", "sent"):
        yield bytes_text(disk[name])
    yield rate_text(disk["rate"])
    yield seconds_text(disk.get("eta"))
