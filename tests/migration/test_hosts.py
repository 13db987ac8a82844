"""A mounted disk, copied by a real agent to one of several hosts, which is killed in the middle of it."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.migration import Migration
from rehost.cli import datafolder
from rehost.core.job import JobState
from tests.cli.hosts import SERVERS, WORKERS, Hosts
from tests.cli.serving import until
from tests.loopdisks import LoopDisks
from tests.migration.images import flat
from tests.migration.ledger import CHUNK, Ledger
from tests.migration.source import Agent
from tests.postgresql import Cluster

MIB = 1 << 20
CONTENT = 96 * MIB
LIMIT = {"bandwidth_limit": 8_000, "compress_level": 0}  # KB/s: so that there is time to kill
ENOUGH = 120  # chunks that are durable then


@pytest.fixture
def hosts(tmp_path: Path, cache: Path, postgresql: Cluster) -> Iterator[Hosts]:
    url = postgresql.make(empty=True)
    with closing(Hosts(tmp_path, cache, url)) as made:
        yield made
    postgresql.drop(url)


def test_a_host_that_is_killed_in_the_middle_of_a_copy(
    disks: LoopDisks, hosts: Hosts, tmp_path: Path
) -> None:
    """The agent goes on at another one, with what was not durable, and the image has the disk's files."""
    disk = disks.make(256 * MIB, "ext4", ("-q",))
    assert disk.mount is not None
    (disk.mount / "constant").write_bytes(os.urandom(CONTENT))
    first, second = (hosts[name] for name in SERVERS)
    with closing(Agent(tmp_path / "agent", disk.path)) as agent:
        with closing(datafolder.open_store(first.data)) as store:
            _, code = store.codes.create("default", "test")
        registered = agent.register(second.endpoint, first.data / "keys/ca.crt", code)
        assert registered.returncode == 0, registered.stderr
        agent.start()
        source = Migration(first.data / "first-access-key.json").wait_for_source()
        wishes = {"SourceId": source, "RegionId": "local", "ReplicationParameters": json.dumps(LIMIT)}
        job = first.client().call("CreateReplicationJob", wishes)["JobId"]
        first.client().call("StartReplicationJob", {"JobId": job})
        replica = hosts.volumes / "replicas" / job
        until(lambda: replica.exists() and len(Ledger(replica).content) >= ENOUGH, "much is durable")
        killed = hosts.of(job)
        hosts.kill(killed)
        durable = len(Ledger(replica).content)
        image = first.until_state(job, JobState.FINISHED).image_id
    assert hosts.of(job) == next(name for name in WORKERS if name != killed)
    with closing(datafolder.open_store(first.data)) as store:
        (run,) = store.runs.of_jobs([job])[job]
    assert (run.number, run.generation) == (1, 2)
    assert run.result is not None
    assert run.result.report is not None
    assert run.result.report.sent < CONTENT * 1.05 - durable * CHUNK * 0.8
    copy = flat(hosts.volumes / "images" / image, tmp_path)
    with disks.attached(copy) as device, disks.mounted(device) as mount:
        assert (mount / "constant").read_bytes() == (disk.mount / "constant").read_bytes()
