"""Two processes of the API on one database, killed and started again: what one knows, the other knows."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.store.audit import DONE, UNKNOWN_END, AuditFilter
from tests.api.program import ApiProcess
from tests.api.signed import call, sign_v1, v1_parameters
from tests.api.world import ACCOUNT, World


@pytest.fixture
def two(world: World, records: Path | str) -> Iterator[list[ApiProcess]]:
    processes = [ApiProcess(records), ApiProcess(records)]
    yield processes
    for process in processes:
        process.close()


def test_a_nonce_that_one_has_seen_is_used_for_the_other_and_after_a_restart(
    world: World, two: list[ApiProcess], records: Path | str
) -> None:
    signed = sign_v1(
        "GET", v1_parameters(world.key, world.clock(), "DescribeSourceServers"), world.key.secret
    )
    assert two[0].send(signed)["TotalCount"] == 0
    assert [process.send(signed)["Code"] for process in two] == ["SignatureNonceUsed"] * 2
    two[0].close(signal.SIGKILL)
    two[0] = ApiProcess(records)
    assert two[0].send(signed)["Code"] == "SignatureNonceUsed"


def test_what_changes_for_a_key_holds_for_both_at_once(world: World, two: list[ApiProcess]) -> None:
    session = world.store.keys.create_session(ACCOUNT, "", 3600, issuer=world.key.id)
    for process in two:
        found = process.call(session.key, world.clock(), "DescribeSourceServers", SecurityToken=session.token)
        assert found["TotalCount"] == 0
    world.store.keys.delete(world.key.id)
    for process in two:
        for key in (world.key, session.key):
            refused = process.call(key, world.clock(), "DescribeSourceServers")
            assert refused["Code"] == "InvalidAccessKeyId.NotFound"


@pytest.mark.parametrize("point", ["before", "after"])
def test_what_was_asked_for_is_known_of_a_process_that_was_killed_at_it(
    world: World, records: Path | str, point: str
) -> None:
    source = world.source()
    job = call(world, "CreateReplicationJob", SourceId=source.id, RegionId="cn-a")[1]["JobId"]
    process = ApiProcess(records, point)
    with pytest.raises(OSError):
        process.call(world.key, world.clock(), "StartReplicationJob", JobId=job)
    process.close()
    (entry,) = world.store.audit.newest(AuditFilter(action="smc:StartReplicationJob"), 10)
    assert (entry.account, entry.key, entry.code) == (ACCOUNT, world.key.id, UNKNOWN_END)
    assert entry.resources == (f"acs:smc:*:{ACCOUNT}:replicationJob/{job}",)
    assert entry.address == "127.0.0.1"


def test_what_was_answered_is_in_the_trail_of_a_process_that_was_killed_after_it(
    world: World, records: Path | str
) -> None:
    source = world.source()
    process = ApiProcess(records)
    job = process.call(world.key, world.clock(), "CreateReplicationJob", SourceId=source.id, RegionId="cn-a")
    wrong = process.call(world.key, world.clock(), "StartReplicationJob", JobId="j-0")
    process.close(signal.SIGKILL)
    codes = {
        entry.request_id: entry.code for entry in world.store.audit.newest(AuditFilter(action="smc:*"), 10)
    }
    assert codes == {job["RequestId"]: DONE, wrong["RequestId"]: "InvalidJobId.NotFound"}
