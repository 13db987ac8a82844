"""A source server is cloned with its disk while it is copied: two real agents, one identity."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.serving import until
from tests.crash import runs
from tests.crash.site import SIZE, Site
from tests.loopdisks import LoopDisks
from tests.migration.source import Agent

BOOT_ID = "/proc/sys/kernel/random/boot_id"
CARD = "/sys/class/net/eth0/address"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(CARD).exists(), reason="this host has no card eth0"),
]


@pytest.fixture
def site(tmp_path: Path, cache: Path, disks: LoopDisks) -> Iterator[Site]:
    with closing(Site(tmp_path, cache, disks.make(SIZE).path, tmp_path)) as made:
        made.start()
        yield made


class Clone:
    """The same folder and the same name of the disk, on what the agent takes for another machine."""

    def __init__(self, site: Site, disks: LoopDisks, folder: Path, *, same_hardware: bool) -> None:
        place = folder / "clone"
        place.mkdir()
        other = disks.make(SIZE)
        self.id = str(uuid.uuid4())
        hidden = {BOOT_ID: f"{self.id}\n"} | ({} if same_hardware else {CARD: "02:00:00:00:00:01\n"})
        mounts = f"mount --bind {other.path} {site.disk}"
        for number, (path, text) in enumerate(hidden.items()):
            (place / str(number)).write_text(text)
            mounts += f" && mount --bind {place / str(number)} {path}"
        prefix = ("sh", "-c", f'{mounts} && exec "$@"', "sh")
        shutil.copytree(site.agent.state, place / "state")
        self.agent = Agent(place / "agent", str(site.disk), prefix=prefix, state=place / "state")

    def log(self) -> str:
        return self.agent.log.read_text()


@pytest.mark.parametrize(
    "same_hardware", [False, pytest.param(True, marks=pytest.mark.lab, id="told by boot ids alone")]
)
def test_a_clone_is_told_apart_and_disturbs_nothing(
    site: Site, disks: LoopDisks, tmp_path: Path, same_hardware: bool
) -> None:
    clone = Clone(site, disks, tmp_path, same_hardware=same_hardware)
    job = runs.incremental(site, ReplicationParameters=runs.SLOWLY)
    site.call("StartReplicationJob", JobId=job)
    site.until(lambda: site.state(job).assigned, "the copy has begun")
    with closing(clone.agent):
        clone.agent.start()
        until(lambda: "its disk was cloned" in clone.log(), clone.log)
        told = said_of(site, site.source)
        assert clone.id in told
        assert Path(BOOT_ID).read_text().strip() in told
        runs.finish(site, job, 1)
        assert [event.what for event in site.store.events.of(site.source)].count("CLONE") == 1
        assert "starts" not in clone.log()
        register_anew(site, clone)


def said_of(site: Site, source: str) -> str:
    reply = site.plane.client().call("DescribeSourceServers", {"SourceId.1": source})
    (server,) = reply["SourceServers"]["SourceServer"]
    assert server["State"] in ("InUse", "Available")
    return str(json.loads(server["StatusInfo"])["clone"])


def register_anew(site: Site, clone: Clone) -> None:
    """As the clone was advised; with other hardware it needs no word for it."""
    clone.agent.close()
    _, code = site.store.codes.create("default", "of the clone")
    done = clone.agent.register(site.plane.endpoint, site.data / "keys/ca.crt", code, "--anew")
    assert done.returncode == 0, done.stderr
    assert site.source not in done.stdout
    clone.agent.start()
    fresh = site.store.servers.get(done.stdout.split()[2])
    until(lambda: site.store.servers.get(fresh.id).heartbeat > fresh.heartbeat, clone.log)
