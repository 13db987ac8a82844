"""Data of yesterday is brought back: jobs go on or copy again, and no image is ever a wrong one."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.control_plane import PROGRAM
from rehost.cli import datafolder
from rehost.core.agentapi import Assignment
from rehost.core.errors import TicketError
from rehost.core.job import JobState
from rehost.store.store import DATABASE_FILE
from rehost.wire import messages as m
from rehost.wire.channel import Channel
from rehost.wire.tls import client_context, connect
from tests.crash import runs
from tests.crash.site import Site
from tests.crash.test_points import RESTORATION

VOLUMES = ("replicas", "images")
BASIS = "the replica is not what the run before left"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def rehost(command: str, *words: str | Path) -> dict[str, Any]:
    done = subprocess.run([PROGRAM, command, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def back_up(site: Site, backup: Path) -> None:
    """While it is served."""
    rehost("backup", backup, "--data", site.data)


def bring_back(site: Site, change: Callable[[Path], None], *words: str | Path) -> dict[str, Any]:
    """The control plane is killed, its data folder is changed, and made fit again; the agent goes on."""
    site.stop_plane()
    change(site.data)
    found = rehost("restore", *words, "--data", site.data)
    (site.data / "mark-conversions").touch()
    site.plane.start()
    return found


def everything_lost(data: Path) -> None:
    for entry in data.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def taken_from(backup: Path, *names: str) -> Callable[[Path], None]:
    """The rest of the data folder stays as it is."""

    def take(data: Path) -> None:
        for name in names:
            if (backup / name).is_dir():
                shutil.rmtree(data / name)
                shutil.copytree(backup / name, data / name)
            else:
                for old in data.glob(f"{name}*"):
                    old.unlink()
                shutil.copy(backup / name, data / name)

    return take


def basis(site: Site, job: str) -> str:
    result = site.state(job).runs[-1].result
    assert result is not None
    assert result.report is not None
    return result.report.basis[0]


def test_everything_of_yesterday_under_an_agent_that_has_gone_on(site: Site, backup: Path) -> None:
    job = runs.incremental(site)
    runs.run(site, job, 1)
    back_up(site, backup)
    runs.run(site, job, 2)
    newer = site.state(job).job.image_id
    assert bring_back(site, everything_lost, backup) == {
        "begun": [], "lost": [], "unusable": [], "unknown_images": [], "unknown_replicas": [],
    }  # fmt: skip
    assert site.state(job).job.image_id != newer
    site.verify(site.state(job).job.image_id)
    runs.run(site, job, 2)
    assert BASIS in basis(site, job)
    site.verify(site.state(job).job.image_id)
    runs.run(site, job, 3)
    assert "tracked" in basis(site, job)


def test_a_run_that_was_going_on_begins_again(site: Site, backup: Path) -> None:
    """Its agent has told its end, which the records do not know."""
    job = runs.incremental(site)
    runs.run(site, job, 1)
    site.change_disk()
    with site.held_in_sync(job):
        back_up(site, backup)
        ticket = site.store.assignments.get(site.source)[1]
    runs.finish(site, job, 2)
    site.change_disk()
    found = bring_back(site, everything_lost, backup)
    assert found["begun"] == [job]
    runs.finish(site, job, 2)
    assert ticket is not None
    with pytest.raises(TicketError, match="signature"):
        show(site, ticket)


def show(site: Site, assignment: Assignment) -> None:
    """The ticket, to the receiver of now."""
    port = json.loads((site.data / "receiver.json").read_text())["port"]
    context = client_context((site.data / "keys/ca.crt").read_text())
    channel = Channel(connect("127.0.0.1", port, context, 10), m.Role.AGENT)
    try:
        channel.send(m.Hello(m.VERSION, assignment.ticket, 0))
        channel.receive(10)
    finally:
        channel.close()


@pytest.mark.lab  # as the one above, without anything to build on
def test_a_first_run_that_was_going_on_copies_again(site: Site, backup: Path) -> None:
    job = runs.incremental(site)
    with site.held_in_sync(job):
        back_up(site, backup)
    runs.finish(site, job, 1)
    assert bring_back(site, everything_lost, backup)["begun"] == [job]
    runs.finish(site, job, 1)


@pytest.mark.parametrize(
    ("names", "lost", "unknown"),
    [
        pytest.param((DATABASE_FILE,), 1, 1, id="records"),
        pytest.param(VOLUMES, 1, 1, id="volumes", marks=pytest.mark.lab),
        pytest.param(("replicas",), 1, 0, id="replicas"),
        pytest.param(("images",), 1, 0, id="images", marks=pytest.mark.lab),
    ],
)
def test_a_part_of_yesterday_with_the_rest_of_today(
    site: Site, backup: Path, names: tuple[str, ...], lost: int, unknown: int
) -> None:
    """What does not fit is told, and is never shown as an image again."""
    job = runs.incremental(site)
    runs.run(site, job, 1)
    back_up(site, backup)
    runs.run(site, job, 2)
    found = bring_back(site, taken_from(backup, *names))
    assert (len(found["lost"]), len(found["unknown_images"])) == (lost, unknown)
    assert len(found["unusable"]) == (len(names) == 1 and names[0] != DATABASE_FILE)
    runs.run(site, job, 2 if DATABASE_FILE in names else 3)
    site.verify(site.state(job).job.image_id)


def test_records_that_know_of_no_run_with_the_replica_of_one(site: Site, backup: Path) -> None:
    job = runs.incremental(site)
    back_up(site, backup)
    runs.run(site, job, 1)
    image = site.state(job).job.image_id
    found = bring_back(site, taken_from(backup, DATABASE_FILE))
    assert found["unknown_images"] == [image]
    runs.run(site, job, 2)
    assert "lost with the records" in site.state(job).runs[0].error


@pytest.mark.lab  # "replicas" and "records" above, with less there
def test_volumes_without_a_replica_of_the_job(site: Site, backup: Path) -> None:
    job = runs.incremental(site)
    back_up(site, backup)
    runs.run(site, job, 1)
    bring_back(site, taken_from(backup, *VOLUMES))
    runs.run(site, job, 2)
    site.verify(site.state(job).job.image_id)


def test_what_nobody_made_true_is_told(site: Site, backup: Path) -> None:
    """A backup is not served, and records of an earlier time than a replica do not write it."""
    job = runs.incremental(site)
    back_up(site, backup)
    for number in (1, 2):
        runs.run(site, job, number)
    site.stop_plane()
    refused = subprocess.run(
        [PROGRAM, "serve", "--data", backup], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "rehost restore" in refused.stderr
    taken_from(backup, DATABASE_FILE)(site.data)
    site.plane.start()
    site.call("StartReplicationJob", JobId=job)
    site.until(lambda: site.state(job).job.state is JobState.PREPARE_FAILED, "it does not fail")
    assert "rehost restore" in site.state(job).job.status_info
    bring_back(site, lambda data: None)
    runs.run(site, job, 1)


def test_a_restoration_that_is_killed_at_each_point_is_repeated(site: Site, backup: Path) -> None:
    job = runs.incremental(site)
    with site.held_in_sync(job):
        back_up(site, backup)
    runs.finish(site, job, 1)
    site.stop_plane()
    everything_lost(site.data)
    for point in RESTORATION:
        words = [backup] if point == "restore.copied" else []
        site.kill_at(point, [PROGRAM, "restore", *words, "--data", site.data])
        assert datafolder.is_backup(site.data)
    rehost("restore", "--data", site.data)
    (site.data / "mark-conversions").touch()
    site.plane.start()
    runs.finish(site, job, 1)
