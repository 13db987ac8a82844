"""The audit trail of requests: who, what, on what, from where, and what came of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from rehost.store.audit import DONE, AuditEntry, AuditFilter
from rehost.store.principals import PrincipalKind
from tests.api.signed import call, send, sign_v1, v1_parameters
from tests.api.world import ACCOUNT, World


def trail(world: World, **want: str) -> tuple[AuditEntry, ...]:
    world.store.audit.flush()
    return world.store.audit.newest(AuditFilter(**want), 100)


def test_a_request_is_told_of_whatever_came_of_it(world: World) -> None:
    source = world.source()
    world.store.principals.create(ACCOUNT, PrincipalKind.USER, "ann")
    ann = world.store.keys.create(ACCOUNT, "user/ann")
    wanted = {"SourceId": source.id, "RegionId": "cn-a"}
    replies = [
        call(world, "DescribeSourceServers")[1],
        call(world, "CreateReplicationJob", **wanted)[1],
        call(world, "CreateReplicationJob", **wanted)[1],
        call(world, "CreateReplicationJob", ann, **wanted)[1],
        call(world, "CreateReplicationJob", RegionId="cn-a")[1],
        call(world, "DescribeSourceServers", replace(world.key, secret="wrong"))[1],
    ]
    entries = {entry.request_id: entry for entry in trail(world)}
    found = [entries[reply["RequestId"]] for reply in replies]
    assert [entry.code for entry in found] == [
        DONE,
        DONE,
        "SourceServerState.Invalid",
        "Forbidden.Unauthorized",
        "MissingSourceId",
        "SignatureDoesNotMatch",
    ]
    assert [entry.principal for entry in found] == ["", "", "", "user/ann", "", ""]
    assert {entry.account for entry in found} == {ACCOUNT}
    assert found[1].action == "smc:CreateReplicationJob"
    assert found[1].resources == (
        f"acs:smc:cn-a:{ACCOUNT}:sourceServer/{source.id}",
        f"acs:smc:cn-a:{ACCOUNT}:replicationJob/*",
    )
    assert all(entry.seconds is not None and entry.seconds >= 0 for entry in found)
    assert all(abs(entry.at - world.clock()) < 60 for entry in found)


def test_who_is_not_known_leaves_no_entry(world: World) -> None:
    """Else everybody could fill the disk."""
    call(world, "DescribeSourceServers", replace(world.key, id="LTAInobody"))
    call(world, "Nothing")
    assert trail(world) == ()


def test_guessed_signatures_are_told_of_but_do_not_fill_the_disk(world: World) -> None:
    for _ in range(50):
        call(world, "DescribeSourceServers", replace(world.key, secret="wrong"))
    assert 1 <= len(trail(world, code="SignatureDoesNotMatch")) <= 21


def test_a_request_of_another_time_is_told_of(world: World) -> None:
    """Somebody may have recorded it."""
    old = v1_parameters(world.key, world.clock() - 3600, "StartReplicationJob", JobId="j-1")
    send(world, "GET", sign_v1("GET", old, world.key.secret), {})
    (entry,) = trail(world)
    assert (entry.code, entry.action) == ("InvalidTimeStamp.Expired", "smc:StartReplicationJob")


def test_a_replayed_request_leaves_the_first_ones_entry_alone(world: World) -> None:
    source = world.source()
    again = {"SourceId": source.id, "RegionId": "cn-a", "SignatureNonce": "once"}
    call(world, "CreateReplicationJob", **again)
    call(world, "CreateReplicationJob", **again)
    assert [entry.code for entry in trail(world)] == ["SignatureNonceUsed", DONE]


def test_nothing_secret_is_in_it(world: World) -> None:
    session = world.store.keys.create_session(ACCOUNT, "", 900)
    call(world, "DescribeSourceServers", session.key, SecurityToken=session.token)
    world.store.principals.create(ACCOUNT, PrincipalKind.ROLE, "r")
    wanted = {"RoleArn": f"acs:ram::{ACCOUNT}:role/r", "RoleSessionName": "me", "Version": "2015-04-01"}
    made = call(world, "AssumeRole", **wanted)[1]["Credentials"]
    text = str(trail(world)) + json.dumps([entry.resources for entry in trail(world)])
    assert made["AccessKeyId"] not in text  # it is not the one who asked
    for secret in (world.key.secret, session.token, session.key.secret, made["AccessKeySecret"]):
        assert secret not in text
    assert made["SecurityToken"] not in text


@contextmanager
def no_room(world: World, event: str) -> Iterator[None]:
    """INSERT or UPDATE of the trail fails."""
    with world.store.database.write() as connection:
        if connection.dialect.name == "sqlite":
            do = "BEGIN SELECT RAISE(ABORT, 'full'); END"
        else:
            do = "FOR EACH ROW EXECUTE FUNCTION no_room()"
            body = "$$BEGIN RAISE EXCEPTION 'full'; END$$"
            connection.exec_driver_sql(
                f"CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS {body}"
            )
        connection.exec_driver_sql(f"CREATE TRIGGER no_room BEFORE {event} ON audit {do}")
    yield
    with world.store.database.write() as connection:
        of = "" if connection.dialect.name == "sqlite" else "ON audit"
        connection.exec_driver_sql(f"DROP TRIGGER no_room {of}")


def test_what_was_done_is_answered_when_its_end_cannot_be_written(world: World) -> None:
    source = world.source()
    job = call(world, "CreateReplicationJob", SourceId=source.id, RegionId="cn-a")[1]["JobId"]
    with no_room(world, "UPDATE"):
        status, _ = call(world, "StartReplicationJob", JobId=job)
    assert status == 200
    (entry,) = trail(world, action="smc:Start*")
    assert entry.code == ""


def test_a_change_of_records_its_nonce_and_its_entry_are_one_transaction(world: World) -> None:
    commits: list[object] = []
    note, engine, source = commits.append, world.store.database.engine, world.source()
    call(world, "DescribeSourceServers")  # sweeps nonces, which happens now and then
    sa.event.listen(engine, "commit", note)
    call(world, "CreateReplicationJob", SourceId=source.id, RegionId="cn-a")
    sa.event.remove(engine, "commit", note)
    assert len(commits) == 2  # the other one looked up the access key
    (entry,) = trail(world, action="smc:Create*")
    assert (entry.code, entry.seconds is not None) == (DONE, True)


def test_a_refused_change_uses_its_nonce_up(world: World) -> None:
    again = {"SourceId": "s-none", "RegionId": "cn-a", "SignatureNonce": "once"}
    codes = [call(world, "CreateReplicationJob", **again)[1]["Code"] for _ in range(2)]
    assert codes == ["InvalidSourceId.NotFound", "SignatureNonceUsed"]
    assert sorted(entry.code for entry in trail(world)) == sorted(codes)


def test_nothing_is_done_that_cannot_be_written_down(world: World) -> None:
    source = world.source()
    with no_room(world, "INSERT"):
        status, _ = call(world, "CreateReplicationJob", SourceId=source.id, RegionId="cn-a")
    assert status == 500
    assert world.store.jobs.of_source(source.id) == ()


@pytest.mark.parametrize(
    ("want", "count"),
    [
        ({}, 3),
        ({"action": "smc:Describe*"}, 2),
        ({"action": "smc:DescribeSourceServers"}, 1),
        ({"code": "Invalid*"}, 1),
        ({"code": DONE}, 2),
        ({"account": "2"}, 0),
        ({"key": "LTAI*"}, 3),
        ({"resource": "replicationJob/j-1"}, 1),
        ({"resource": "%"}, 0),
        ({"address": "10.*"}, 0),
        ({"until": 5.0}, 0),
        ({"since": 5.0}, 3),
    ],
)
def test_filters(world: World, want: dict[str, str], count: int) -> None:
    call(world, "DescribeSourceServers")
    call(world, "DescribeReplicationJobs")
    call(world, "StartReplicationJob", JobId="j-1")
    assert len(trail(world, **want)) == count
    assert len(list(world.store.audit.each(AuditFilter(**want)))) == count
