"""Disks of a guest that come and go while a job copies it: the run ends by their names, all is thawed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rehost.core.agentapi import Unreadable
from tests.agent.agent_process import Outcome
from tests.cli.serving import until
from tests.guest.job import GuestJob
from tests.guest.machine import Guest, booted
from tests.loopdisks import run

pytestmark = pytest.mark.vm

MIB = 1 << 20
SIZE = 8 * MIB
RATE = 1.0 * MIB  # bytes a second that the agent reads


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Guest]:
    with booted(tmp_path_factory.mktemp("guest"), cache, ()) as made:
        yield made


@pytest.fixture
def guest(bare: Guest, tmp_path: Path) -> Iterator[Guest]:
    """It has /dev/vdc, full of bytes."""
    bare.plug("vdc", disk_in(tmp_path, "first"))
    yield bare
    for name in sorted(set(bare.disks) - {"vda"}):
        bare.unplug(name)


def disk_in(folder: Path, name: str) -> Path:
    file = folder / f"{name}.img"
    run("dd", "if=/dev/urandom", f"of={file}", "bs=1M", f"count={SIZE // MIB}")
    return file


def interrupted(job: GuestJob, happens: Callable[[], None], **task: object) -> Outcome:
    """Of a run in which something happens when a part is durable."""
    with ThreadPoolExecutor(1) as beside:
        ending = beside.submit(lambda: job.outcome(rate=RATE, **task))
        until(lambda: job.durable() >= MIB or ending.done(), "1 MiB is durable", 300)
        happens()
        return ending.result(120)


@pytest.mark.parametrize(
    "unreadable", [Unreadable.FAIL, pytest.param(Unreadable.ZERO, marks=pytest.mark.lab)]
)
def test_a_disk_that_is_unplugged_ends_the_run(guest: Guest, tmp_path: Path, unreadable: Unreadable) -> None:
    """Also where sectors that cannot be read would become zeroes."""
    with GuestJob(guest, ("vdc",), tmp_path) as job:
        job.options = replace(job.options, unreadable=unreadable)
        outcome = interrupted(job, lambda: guest.unplug("vdc"))
    assert outcome.error.startswith("the disk /dev/vdc is gone")


def test_a_disk_that_is_plugged_in_ends_the_run(guest: Guest, tmp_path: Path) -> None:
    with GuestJob(guest, ("vdc",), tmp_path) as job:
        other = disk_in(tmp_path, "other")
        outcome = interrupted(job, lambda: guest.plug("vdd", other), watches=True)
        assert "a disk that it did not have when the run began: /dev/vdd" in outcome.error
        assert job.carry_out(watches=True).roots
        assert job.replicas[0].read_bytes() == guest.disks["vdc"].read_bytes()


def test_a_disk_that_is_unplugged_inside_the_freeze_holds_nothing_up(guest: Guest, tmp_path: Path) -> None:
    """All of it was read: the copy is whole, and the other file system writes again."""
    guest.plug("vdd", disk_in(tmp_path, "second"))
    for name in ("vdc", "vdd"):
        guest.run(f"mkdir -p /srv/{name} && mkfs.ext4 -q -F /dev/{name} && mount /dev/{name} /srv/{name}")
    with GuestJob(guest, ("vdc", "vdd"), tmp_path) as job:
        report = job.carry_out(lambda: guest.unplug("vdc"))
        run("e2fsck", "-fn", job.replicas[0])
    assert {part.way for part in report.consistency} == {"frozen"}
    guest.run("echo written >/srv/vdd/after && sync && umount /srv/vdd /srv/vdc")
