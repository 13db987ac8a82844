import json

import pytest
from rich.console import Console

from rehost.cli import jobview
from rehost.core.agentapi import HookReport, Phase, Progress, Result, RunReport, UnreadableExtent
from rehost.core.round import RoundKind, RoundReport
from rehost.store.status import WAITS_FOR_ROOM, copy_info, phase_info, sync_info

DISKS = [
    {
        "disk": 0,
        "total": 4 << 20,
        "done": 1 << 20,
        "read": 2 << 20,
        "sent": 512 << 10,
        "rate": 1024.0,
        "eta": 70,
        "send_rate": 2048.0,
        "backlog": 3 << 20,
        "unreadable": 8192,
    },
    {"disk": 1, "total": 0, "done": 0, "read": 0, "sent": 0, "rate": 0.0, "eta": None},
]


def picture(job: jobview.Job, width: int = 80) -> str:
    console = Console(width=width, color_system=None, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(jobview.live(job))
    return captured.get()


def test_a_copy_shows_the_round_and_each_disk_on_a_narrow_terminal() -> None:
    info = {"phase": "copying", "round": 2, "kind": "delta", "disks": DISKS}
    job = {"Status": "Running", "BusinessStatus": "Syncing", "Progress": 41.6, "StatusInfo": json.dumps(info)}
    lines = picture(job).splitlines()
    assert lines[0].split() == ["Running/Syncing", "41", "%", "copying", "round", "2", "(delta)"]
    assert "…" not in "".join(lines)
    for word in ("1.0 MiB", "4.0 MiB", "2.0 MiB", "512.0 KiB", "1.0 KiB/s", "1:10"):
        assert word in lines[2]
    assert lines[3].split()[-1] == "-"
    told = "2.0 KiB/s on the wire, 3.0 MiB written meanwhile, 8.0 KiB unreadable, zero in the copy"
    assert " ".join("".join(lines[4:]).split()) == told


def test_a_copy_shows_each_disk_without_a_live_picture_too() -> None:
    job = {"Status": "Running", "StatusInfo": json.dumps({"phase": "copying", "disks": DISKS})}
    assert jobview.disks(job) == {
        "disk 0": "1.0 MiB of 4.0 MiB, 3.0 MiB left, 2.0 MiB read, 512.0 KiB sent, 1.0 KiB/s, ETA 1:10,"
        " 3.0 MiB written meanwhile",
        "disk 1": "0 B of 0 B, 0 B left, 0 B read, 0 B sent, 0 B/s, ETA -",
    }
    assert jobview.disks({"Status": "Finished"}) == {}


def test_what_runs_is_never_at_100_per_cent() -> None:
    assert jobview.percent({"Progress": 99.97}) == "99 %"
    assert jobview.percent({"Progress": 100.0}) == "100 %"
    assert jobview.percent({}) == "0 %"


def test_when_a_job_begins_and_expires_is_shown_while_it_matters() -> None:
    given = {"ScheduledStartTime": "2030-01-01T00:00:00Z", "ValidTime": "2030-02-01T00:00:00Z"}
    assert list(jobview.times({"Status": "Ready", **given})) == ["starts", "valid until"]
    assert list(jobview.times({"Status": "Waiting", **given})) == ["valid until"]
    assert jobview.times({"Status": "Finished", **given}) == {}


def test_a_job_without_disks_is_one_line() -> None:
    job = {"Status": "Running", "BusinessStatus": "Processing", "StatusInfo": '{"phase":"boot check"}'}
    assert picture(job).split() == ["Running/Processing", "0", "%", "boot", "check"]
    assert jobview.doing(job) == "boot check"
    assert jobview.doing({"Status": "Ready"}) == ""


def test_what_people_should_know_before_the_freeze_is_said_while_a_job_copies() -> None:
    progress = Progress("r-1", 1, Phase.COPYING, 2, RoundKind.DELTA, (), "a freeze takes at least 12 s here")
    job = {"Status": "Running", "BusinessStatus": "Syncing", "StatusInfo": sync_info(progress)}
    assert jobview.doing(job) == "copying  round 2 (delta)  a freeze takes at least 12 s here"


def test_a_failure_says_what_happened_and_what_to_do() -> None:
    info = '{"error_code":"TargetDisk.Full","error_msg":"no room","advice":"make room"}'
    job = {"Status": "InError", "ErrorCode": "TargetDisk.Full", "StatusInfo": info}
    assert jobview.failure(job) == "TargetDisk.Full: no room\nmake room"
    assert jobview.failure({"Status": "Finished"}) == ""
    assert (
        jobview.failure({"Status": "Deleting", "StatusInfo": info}) == "TargetDisk.Full: no room\nmake room"
    )


@pytest.mark.parametrize("status", ["Ready", "InError", "Stopped", "Waiting"])
def test_a_start_that_waits_for_room_is_no_end(status: str) -> None:
    job = {"Status": status, "ErrorCode": "X", "StatusInfo": phase_info(WAITS_FOR_ROOM, "one runs")}
    assert jobview.is_over({**job, "StatusInfo": ""}) == (status != "Ready")
    assert not jobview.is_over(job)
    assert (jobview.failure(job), jobview.doing(job)) == ("", "waiting for room  one runs")


def test_a_finished_job_tells_how_its_copy_went() -> None:
    report = RunReport(
        ("00",),
        (RoundReport(RoundKind.FINAL, 1, 9, 8, 7, 1.5),),
        read=3 << 20,
        sent=1 << 20,
        used=9,
        freeze_seconds=0.251,
        started=1.0,
        ended=2.0,
        held_seconds=0.24,
        basis=("/dev/sda: writes were tracked (typed programs): 4096 bytes in 1 places",),
        freeze_reason="within the target of 1 s",
        limits=("most_rounds: at most 3",),
        unreadable=(UnreadableExtent(0, 4096, 8192, "/dev/sda1 ext4 on /"), UnreadableExtent(1, 0, 4096, "")),
        hooks=(HookReport("pre-freeze", "10-db", "done", 0.3, "first\nflushed"),),
        freeze_expected=0.2,
        looked_seconds=0.04,
    )
    job = {"Status": "Finished", "StatusInfo": copy_info(Result("r-1", 1, report))}
    assert jobview.copied(job) == {
        "built on": "/dev/sda: writes were tracked (typed programs): 4096 bytes in 1 places",
        "copy": "1 rounds, 3.0 MiB read, 1.0 MiB sent",
        "frozen for": "0.25 s (0.20 s expected): 0.01 s to freeze and thaw, 0.04 s for maps of used blocks,"
        " 0.20 s to read",
        "frozen then": "within the target of 1 s",
        "limits": "most_rounds: at most 3",
        "unreadable": "8.0 KiB are zeroes in the copy:\n"
        "disk 0, bytes 4096 to 8192 (/dev/sda1 ext4 on /)\ndisk 1, bytes 0 to 4096",
        "hooks": "pre-freeze/10-db: done, 0.3 s; flushed",
    }
    assert jobview.copied({"Status": "Ready"}) == {}


def test_what_an_older_rehost_told_of_a_copy_is_shown() -> None:
    copy = {"rounds": 3, "read": 2048, "sent": 1024, "freeze_seconds": 0.5, "held_seconds": 0.4}
    assert jobview.copied({"Status": "Finished", "StatusInfo": json.dumps({"copy": copy})}) == {
        "copy": "3 rounds, 2.0 KiB read, 1.0 KiB sent",
        "frozen for": "0.50 s (all together 0.40 s)",
    }


def test_runs_are_listed_with_their_images() -> None:
    first = {"StartTime": "2026-01-01T00:00:00Z", "EndTime": "2026-01-01T01:00:00Z", "Type": "Manual"}
    second = {"StartTime": "2026-01-01T13:00:00Z", "Type": "Schedule"}
    job = {
        "ImageId": "m-1",
        "ReplicationJobRuns": {"ReplicationJobRun": [{**first, "ImageId": "m-1"}, second]},
    }
    assert jobview.image(job) == "m-1"
    assert [line.split() for line in jobview.runs(job).splitlines()] == [
        ["2026-01-01T00:00:00Z", "Manual", "m-1"],
        ["2026-01-01T13:00:00Z", "Schedule", "-", "(not", "ended)"],
    ]
    assert jobview.runs({"Status": "Ready"}) == jobview.image({"Status": "Ready"}) == ""


def test_of_each_run_is_told_what_it_took_and_what_it_made() -> None:
    run = {
        "StartTime": "2026-01-01T00:00:00Z", "EndTime": "2026-01-01T01:00:00Z", "Type": "Manual",
        "ImageId": "m-1", "Rounds": 3, "Read": 3 << 20, "Sent": 1 << 20, "FreezeSeconds": 0.25,
        "Conversion": '{"files":[{"path":"/etc/fstab"}]}', "BootCheck": '{"verdict":"ok"}',
    }  # fmt: skip
    job = {"ReplicationJobRuns": {"ReplicationJobRun": [run, {**run, "Error": "X: no room"}]}}
    took = "3 rounds, 3.0 MiB read, 1.0 MiB sent  frozen for 0.25 s  1 files changed  boot check ok"
    first, second = jobview.runs(job).splitlines()
    assert first == f"2026-01-01T00:00:00Z Manual    m-1  {took}"
    assert second == f"{first}  X: no room"


def test_a_deleted_image_is_said_to_be() -> None:
    run = {"StartTime": "2026-01-01T00:00:00Z", "EndTime": "2026-01-01T01:00:00Z", "Type": "Manual"}
    runs = [{**run, "ImageId": "m-1", "ImageDeleted": True}, {**run, "ImageId": "m-2"}]
    job = {"ImageId": "m-2", "ReplicationJobRuns": {"ReplicationJobRun": runs}}
    assert [line.split()[2:] for line in jobview.runs(job).splitlines()] == [["m-1", "(deleted)"], ["m-2"]]
    assert jobview.image(job) == "m-2"
    assert jobview.image({**job, "ImageId": "m-1"}) == "m-1 (deleted)"


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0, "0:00"), (59.6, "1:00"), (3661, "1:01:01")])
def test_durations(seconds: float | None, text: str) -> None:
    assert jobview.seconds_text(seconds) == text


def test_the_roots_of_the_last_run_that_copied() -> None:
    runs = [{"Roots": "aa,bb"}, {"Roots": "cc,dd"}, {"Type": "Manual"}]
    job = {"ReplicationJobRuns": {"ReplicationJobRun": runs}}
    assert jobview.roots(job) == {"root of disk 0": "cc", "root of disk 1": "dd"}
    assert jobview.roots({}) == {}
