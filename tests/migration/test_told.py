"""What goes wrong is told where the person is: at the SDK, at the agent's command line, in the job."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from Tea.exceptions import TeaException

from demo.migration import Migration
from rehost.block.layer import chain
from rehost.cli import datafolder, jobview
from rehost.core.job import JobState
from rehost.core.server import KernelLevel
from tests.agent import without_bpf
from tests.cli.serving import ControlPlane, until
from tests.loopdisks import LoopDisk, LoopDisks
from tests.migration.ledger import CHUNK, Ledger
from tests.migration.source import Agent

MIB = 1 << 20
ROOM = 400 * MIB  # of the file system that holds the data folder
SIZE = 160 * MIB
SLOWLY = {"bandwidth_limit": 8_000, "compress_level": 0}  # KB/s


@pytest.fixture
def disk(disks: LoopDisks) -> LoopDisk:
    """A source disk full of bytes that do not compress."""
    made = disks.make(SIZE)
    with open(made.path, "wb") as file:
        file.write(os.urandom(SIZE))
        os.fsync(file.fileno())
    return made


@pytest.fixture
def plane(disks: LoopDisks, cache: Path) -> Iterator[ControlPlane]:
    """A control plane whose data folder has a small file system of its own; it builds and boots no images."""
    mount = disks.make(ROOM, "ext4", ("-q", "-m", "0")).mount
    assert mount is not None
    with closing(ControlPlane(mount, cache)) as made:
        made.start()
        yield made


@pytest.fixture
def agent(plane: ControlPlane, disk: LoopDisk, tmp_path: Path) -> Iterator[Agent]:
    with closing(Agent(tmp_path / "agent", disk.path)) as made:
        registered = made.register(plane.endpoint, plane.data / "keys/ca.crt", code(plane, days=1))
        assert registered.returncode == 0, registered.stderr
        made.start()
        yield made


def code(plane: ControlPlane, days: float) -> str:
    with closing(datafolder.open_store(plane.data)) as store:
        return store.codes.create("default", "test", days=days)[1]


def in_error(migration: Migration, job: str) -> tuple[str, dict[str, Any]]:
    """The job's ErrorCode and StatusInfo once it is InError."""
    until(lambda: migration.describe(job)["Status"] == "InError", lambda: str(migration.describe(job)))
    failed = migration.describe(job)
    return str(failed["ErrorCode"]), jobview.status_info(failed)


def test_a_wrong_secret_is_told_to_the_sdk(plane: ControlPlane, tmp_path: Path) -> None:
    key = (plane.data / "first-access-key.json").read_text()
    wrong = tmp_path / "key.json"
    wrong.write_text(key.replace('"AccessKeySecret": "', '"AccessKeySecret": "x'))
    with pytest.raises(TeaException) as refused:
        Migration(wrong).describe("j-1")
    assert refused.value.code == "SignatureDoesNotMatch"
    assert "sign" in refused.value.message


def test_an_expired_code_is_told_to_who_registers(
    plane: ControlPlane, disk: LoopDisk, tmp_path: Path
) -> None:
    with closing(Agent(tmp_path / "agent", disk.path)) as agent:
        done = agent.register(plane.endpoint, plane.data / "keys/ca.crt", code(plane, days=1e-9))
    assert done.returncode == 1
    assert "the activation code has expired" in done.stderr
    assert "rehost code create" in done.stderr


def test_a_full_target_disk_is_told_in_the_job_which_goes_on_when_there_is_room(
    plane: ControlPlane, agent: Agent, disk: LoopDisk
) -> None:
    migration = Migration(plane.data / "first-access-key.json")
    job = migration.create_job(migration.wait_for_source(), SLOWLY)
    migration.start_job(job)
    replica = plane.data / "replicas" / job
    until(lambda: (replica / "replica.json").exists() and len(Ledger(replica).content) > 40, "it copies")
    ballast = plane.data / "ballast"
    fill(ballast, leave=24 * MIB)

    error, info = in_error(migration, job)
    assert error == info["error_code"] == "TargetDisk.Full"
    assert "make room" in info["advice"]
    assert "make room" in agent.log.read_text()
    before = len(Ledger(replica).content)
    assert 40 < before < SIZE // CHUNK

    ballast.unlink()
    migration.start_job(job)
    plane.until_state(job, JobState.FINISHED)
    assert chain(replica)[0].data(0).read_bytes() == disk.image.read_bytes()


def test_a_disk_that_others_filled_to_the_last_byte_is_told_by_the_api_and_later_in_the_job(
    plane: ControlPlane, agent: Agent
) -> None:
    migration = Migration(plane.data / "first-access-key.json")
    job = migration.create_job(migration.wait_for_source(), SLOWLY)
    migration.start_job(job)
    replica = plane.data / "replicas" / job
    until(lambda: (replica / "replica.json").exists() and len(Ledger(replica).content) > 4, "it copies")
    ballast = plane.data / "ballast"
    fill(ballast, leave=64 << 10)
    until(lambda: "make room" in agent.log.read_text(), "the agent says it")
    until(lambda: refusal(migration, job), "the API says it")
    refused = refusal(migration, job)
    assert refused is not None
    assert refused.code == "ServiceUnavailable"
    assert "the disk is full" in refused.message

    ballast.unlink()
    plane.stop(signal.SIGTERM)
    plane.start()
    migration = Migration(plane.data / "first-access-key.json")
    assert in_error(migration, job)[0] == "TargetDisk.Full"


def refusal(migration: Migration, job: str) -> TeaException | None:
    try:
        migration.describe(job)
    except TeaException as error:
        return error
    return None


def test_a_target_disk_that_is_too_small_is_told_before_anything_is_copied(
    plane: ControlPlane, agent: Agent
) -> None:
    fill(plane.data / "ballast", leave=SIZE // 2)
    migration = Migration(plane.data / "first-access-key.json")
    job = migration.create_job(migration.wait_for_source(), {})
    migration.start_job(job)
    error, info = in_error(migration, job)
    assert error == "TargetDisk.Full"
    assert f"needs {SIZE} bytes more" in info["error_msg"]
    assert not list((plane.data / "replicas").glob("*"))

    (plane.data / "ballast").unlink()
    migration.start_job(job)
    plane.until_state(job, JobState.FINISHED)


def test_why_writes_are_not_tracked_is_told_of_the_source_and_in_the_job(
    plane: ControlPlane, disks: LoopDisks, tmp_path: Path
) -> None:
    disk = disks.make(64 * MIB, "ext4")
    prefix = (sys.executable, without_bpf.__file__)
    with closing(Agent(tmp_path / "agent", disk.path, prefix=prefix)) as agent:
        agent.register(plane.endpoint, plane.data / "keys/ca.crt", code(plane, days=1))
        agent.start()
        migration = Migration(plane.data / "first-access-key.json")
        source = migration.wait_for_source()
        with closing(datafolder.open_store(plane.data)) as store:
            known = store.servers.get(source).inventory
        assert known.kernel_level == KernelLevel.BLOCKS
        assert "bpf: Operation not permitted" in known.untracked
        job = migration.create_job(source, {})
        migration.start_job(job)
        plane.until_state(job, JobState.FINISHED)
    told = migration.describe(job)
    (partition,) = jobview.status_info(told)["copy"]["partitions"]
    assert f"writes are not tracked: {known.untracked}" in partition["reason"]
    assert partition["reason"] in jobview.copied(told)["partitions"]


def fill(file: Path, leave: int) -> None:
    """Take all room of its file system but `leave` bytes."""
    space = os.statvfs(file.parent)
    with file.open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, space.f_bavail * space.f_frsize - leave)
