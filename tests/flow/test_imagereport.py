"""What stays of a conversion and a boot check when the image is gone."""

import json

from rehost.compute.driver import BootEvidence, BootVerdict, CommandResult, GuestState, Milestone
from rehost.flow.imagereport import boot_text, conversion_text


def test_each_file_and_why_it_was_changed_without_the_change() -> None:
    change = {"path": "/etc/fstab", "kind": "edited", "reason": "names by UUID", "diff": "-a\n+b"}
    report = {"changes": [change], "packages": ["qemu-guest-agent 7.2"], "total_seconds": 41.5, "log": "/x"}
    assert json.loads(conversion_text(report)) == {
        "files": [{"path": "/etc/fstab", "kind": "edited", "reason": "names by UUID"}],
        "packages": ["qemu-guest-agent 7.2"],
        "notes": [],
        "seconds": 41.5,
    }
    assert conversion_text(None) == ""


def test_how_far_it_booted_and_what_failed() -> None:
    verdict = BootVerdict(True, "ok", (Milestone("kernel", 3.5), Milestone("login", 21.0)))
    guest = GuestState("degraded", ("ssh.service",), ("/ /dev/vda1 ext4",), ())
    evidence = BootEvidence(verdict, 25.0, "tcg", guest, command=CommandResult("true", 0, "much"))
    assert json.loads(boot_text(evidence)) == {
        "verdict": "ok",
        "seconds": 25.0,
        "accelerator": "tcg",
        "milestones": {"kernel": 3.5, "login": 21.0},
        "system": "degraded",
        "failed_units": ["ssh.service"],
        "command_exit_code": 0,
    }
    silent = BootEvidence(verdict, 25.0, "tcg", guest_problem="no guest agent")
    assert json.loads(boot_text(silent))["system"] == "no guest agent"
    assert boot_text(None) == ""
