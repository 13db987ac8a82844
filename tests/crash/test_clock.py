"""The clock of the control plane's host jumps an hour forward, or back, and returns: runs do not mind."""

from pathlib import Path

import pytest

from rehost.core.job import JobState
from tests.crash import runs
from tests.crash.site import Site

HOUR = 3600


class Clock:
    """What the control plane and its receiver take for the time; files and certificates keep the true one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """That far from the truth, from now on."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Asked for before a site, so that its processes have it."""
    monkeypatch.setenv("TEST_CLOCK", str(tmp_path / "clock"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).with_name("shifted")))
    return Clock(tmp_path / "clock")


@pytest.mark.parametrize(
    "hours", [pytest.param(-1, id="back"), pytest.param(1, id="forward", marks=pytest.mark.lab)]
)
def test_a_jump_there_and_back(clock: Clock, site: Site, hours: int) -> None:
    """Within a copy; and for all of a later run but its start, which is signed with the true time."""
    job = runs.incremental(site, ReplicationParameters=runs.SLOWLY)
    site.call("StartReplicationJob", JobId=job)
    site.until_state(job, lambda now: now.job.state is JobState.SYNCING, "it does not copy")
    clock.jump(hours * HOUR)
    site.until(lambda: copied(site, job), "it does not go on with another time")
    clock.jump(0)
    runs.finish(site, job, 1)
    heard(site)
    site.change_disk()
    site.call("StartReplicationJob", JobId=job)
    clock.jump(hours * HOUR)
    runs.finish(site, job, 2)
    clock.jump(0)
    heard(site)
    runs.run(site, job, 3)


def heard(site: Site) -> None:
    """The source's last heartbeat seems to be too long ago, until the next one comes."""

    def online() -> bool:
        return not site.store.servers.get(site.source).offline

    site.until(online, "the source server is offline")


def copied(site: Site, job: str) -> bool:
    """The agent's word of its progress was taken."""
    return any(run.progress is not None and run.progress.disks[0].done > 0 for run in site.state(job).runs)
