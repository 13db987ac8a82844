"""Workgroups: their rules, their status and their warnings."""

from dataclasses import replace
from typing import Any

import pytest

from rehost.core.job import Event, JobState
from tests.api.signed import call
from tests.api.world import World


def made(world: World, name: str = "group", **parameters: str) -> str:
    status, reply = call(world, "CreateWorkgroup", Name=name, **parameters)
    assert status == 200, reply
    assert reply["WorkgroupId"].startswith("w-")
    return str(reply["WorkgroupId"])


def described(world: World, **filters: str) -> list[dict[str, Any]]:
    reply = call(world, "DescribeWorkgroups", **filters)[1]
    assert reply["TotalCount"] == len(reply["Workgroups"]["Workgroup"])
    return list(reply["Workgroups"]["Workgroup"])


def sources(*ids: str) -> dict[str, str]:
    return {f"SourceId__{number}": source for number, source in enumerate(ids, 1)}


def move(world: World, job: str, *events: Event, **changes: str) -> None:
    for event in events:
        world.store.jobs.apply(job, event, "test", **changes)


def job_of(world: World, source: str) -> str:
    return str(call(world, "CreateReplicationJob", RegionId="local", SourceId=source)[1]["JobId"])


FINISHING = (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.CLEANED)


def test_a_workgroups_life(world: World) -> None:
    group = made(world, "group", Description="Web servers.", Tag__1__Key="k", Tag__1__Value="v")
    assert described(world) == [
        {
            "WorkgroupId": group, "Name": "group", "Description": "Web servers.", "Status": "NotStarted",
            "Tags": {"Tag": [{"Key": "k", "Value": "v"}]}, "Warnings": {"Warning": []},
        }
    ]  # fmt: skip
    changed = call(world, "ModifyWorkgroupAttribute", WorkgroupId=group, Name="other")[1]
    assert changed.keys() == {"RequestId"}
    (shown,) = described(world)
    assert (shown["Name"], shown["Description"]) == ("other", "Web servers.")
    call(world, "ModifyWorkgroupAttribute", WorkgroupId=group, Description="")
    assert described(world)[0]["Description"] == ""
    assert call(world, "DeleteWorkgroup", WorkgroupId=group)[1].keys() == {"RequestId"}
    assert described(world) == []
    assert world.store.tags.of([group]) == {group: ()}


def test_source_servers_enter_and_leave(world: World) -> None:
    one, two, three = (world.source(name=name).id for name in ("one", "two", "three"))
    group, other = made(world), made(world, "other")

    def members(of: str) -> set[str]:
        found = call(world, "DescribeSourceServers", WorkgroupId=of)[1]["SourceServers"]["SourceServer"]
        assert all(server["WorkgroupId"] == of for server in found)
        return {server["SourceId"] for server in found}

    for _ in range(2):  # it can be repeated
        reply = call(world, "AssociateSourceServers", WorkgroupId=group, **sources(one, two))[1]
        assert reply.keys() == {"RequestId"}
    assert members(group) == {one, two}
    status, reply = call(world, "AssociateSourceServers", WorkgroupId=other, **sources(three, one))
    assert (status, reply["Code"]) == (400, "SourceServer.AlreadyAssociated")
    assert one in reply["Message"]
    assert group in reply["Message"]
    assert members(other) == set()
    status, reply = call(world, "DisassociateSourceServers", WorkgroupId=group, **sources(one, three))
    assert (status, reply["Code"]) == (400, "SourceServer.NotAssociated")
    assert three in reply["Message"]
    assert members(group) == {one, two}
    status, reply = call(world, "DeleteWorkgroup", WorkgroupId=group)
    assert (status, reply["Code"]) == (400, "SourceServer.Related")
    job_of(world, one)
    (job,) = call(world, "DescribeReplicationJobs")[1]["ReplicationJobs"]["ReplicationJob"]
    assert job["WorkgroupId"] == group
    call(world, "DisassociateSourceServers", WorkgroupId=group, **sources(one, two))
    assert members(group) == set()
    assert call(world, "DeleteWorkgroup", WorkgroupId=group)[0] == 200


def test_the_status_follows_the_newest_jobs(world: World) -> None:
    one, two = world.source(name="one").id, world.source(name="two").id
    group, empty = made(world), made(world, "empty")
    call(world, "AssociateSourceServers", WorkgroupId=group, **sources(one, two))

    def status() -> str:
        (shown,) = described(world, WorkgroupId__1=group)
        (same,) = described(world, Status=shown["Status"].lower(), Name="group")
        assert same == shown
        return str(shown["Status"])

    first, second = job_of(world, one), job_of(world, two)
    assert status() == "NotStarted"
    move(world, first, Event.START)
    assert status() == "InProgress"
    move(world, first, *FINISHING[1:])
    assert status() == "InProgress"
    move(world, second, *FINISHING[:-1], Event.WAIT)
    assert status() == "Cutover"
    move(world, second, Event.CUT_OVER, Event.CLEANED)
    assert status() == "Completed"
    job_of(world, one)
    assert status() == "InProgress"
    assert [group["WorkgroupId"] for group in described(world, Status="NotStarted")] == [empty]


def test_warnings(world: World) -> None:
    fine, failed, unbootable, bare = (world.source(name=name).id for name in ("a1", "b1", "c1", "d1"))
    group = made(world)
    call(world, "AssociateSourceServers", WorkgroupId=group, **sources(fine, failed, unbootable, bare))
    job_of(world, fine)
    move(world, job_of(world, failed), Event.START, Event.FAIL, error_code="TargetDisk.Full")
    job = job_of(world, unbootable)
    move(world, job, *FINISHING[:3])
    move(world, job, Event.FAIL, error_code="BootCheck.Failed")
    assert world.store.jobs.get(job).state is JobState.PROCESS_FAILED
    (shown,) = described(world)
    warnings = {w["WarningType"]: w["SourceIds"]["SourceId"] for w in shown["Warnings"]["Warning"]}
    assert warnings == {"InError": [failed], "NotPassed": [unbootable], "UnRelated": [bare]}


def test_filters_and_pages(world: World) -> None:
    groups = [made(world, f"group{number}", Tag__1__Key=f"k{number % 2}") for number in range(3)]

    def found(**filters: str) -> set[str]:
        return {group["WorkgroupId"] for group in described(world, **filters)}

    assert found(Name="group1") == {groups[1]}
    assert found(WorkgroupId__1=groups[0], WorkgroupId__2=groups[1]) == set(groups[:2])
    assert found(Tag__1__Key="k0") == {groups[0], groups[2]}
    assert found(Tag__1__Key="k0", Name="group1") == set()
    pages = [call(world, "DescribeWorkgroups", PageSize="2", PageNumber=str(n))[1] for n in (1, 2, 3)]
    assert [page["TotalCount"] for page in pages] == [3, 3, 3]
    assert [len(page["Workgroups"]["Workgroup"]) for page in pages] == [2, 1, 0]


def test_a_client_token_makes_one_workgroup(world: World) -> None:
    asked = {"ClientToken": "t", "Description": "d", "Tag__1__Key": "k"}
    group = made(world, **asked)
    assert made(world, **asked) == group
    call(world, "ModifyWorkgroupAttribute", WorkgroupId=group, Name="changed")
    assert made(world, **asked) == group
    status, reply = call(world, "CreateWorkgroup", Name="group", ClientToken="t")
    assert (status, reply["Code"]) == (400, "IdempotentParameterMismatch")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingName"),
        ({"Name": "g"}, "InvalidName.Malformed"),
        ({"Name": "https://group"}, "InvalidName.Malformed"),
        ({"Name": "group", "Description": "http://x"}, "InvalidDescription.Malformed"),
        ({"Name": "group", "Description": "d" * 257}, "InvalidDescription.Malformed"),
        ({"Name": "taken"}, "WorkgroupName.Duplicate"),
        ({"Name": "group", "Tag__1__Key": "k", "Tag__2__Key": "k"}, "Duplicate.TagKey"),
        ({"Name": "group", "Tag__21__Key": "k"}, "NumberExceed.Tags"),
        ({"Name": "group", "ClientToken": "t" * 65}, "InvalidClientToken.Malformed"),
    ],
)
def test_refusals(world: World, parameters: dict[str, str], code: str) -> None:
    made(world, "taken")
    status, reply = call(world, "CreateWorkgroup", **parameters)
    assert (status, reply["Code"]) == (400, code)
    assert len(described(world)) == 1


def test_names_are_one_of_a_kind_when_they_change_too(world: World) -> None:
    group, _ = made(world), made(world, "taken")
    status, reply = call(world, "ModifyWorkgroupAttribute", WorkgroupId=group, Name="taken")
    assert (status, reply["Code"]) == (400, "WorkgroupName.Duplicate")
    assert call(world, "ModifyWorkgroupAttribute", WorkgroupId=group, Name="group")[0] == 200


@pytest.mark.parametrize("action", ["AssociateSourceServers", "DisassociateSourceServers"])
def test_source_servers_have_to_be_there(world: World, action: str) -> None:
    group, source = made(world), world.source().id
    for parameters, code in (
        ({"SourceId__1": source}, "MissingWorkgroupId"),
        ({"WorkgroupId": group}, "MissingSourceId"),
        ({"WorkgroupId": group, "SourceId__1": "s-1"}, "InvalidSourceId.NotFound"),
        ({"WorkgroupId": group, **sources(source, source)}, "Duplicate.SourceId"),
        ({"WorkgroupId": group, "SourceId__51": source}, "NumberExceed.SourceIds"),
        ({"WorkgroupId": "w-1", "SourceId__1": source}, "InvalidWorkgroupId.NotFound"),
    ):
        assert call(world, action, **parameters)[1]["Code"] == code


def test_a_source_server_that_goes_enters_no_workgroup_and_leaves_its_own(world: World) -> None:
    group, source = made(world), world.source().id
    call(world, "DeleteSourceServer", SourceId=source)
    reply = call(world, "AssociateSourceServers", WorkgroupId=group, **sources(source))[1]
    assert reply["Code"] == "SourceServerState.Invalid"
    member = world.source(name="member").id
    call(world, "AssociateSourceServers", WorkgroupId=group, **sources(member))
    call(world, "DeleteSourceServer", SourceId=member)
    assert call(world, "DeleteWorkgroup", WorkgroupId=group)[1]["Code"] == "SourceServer.Related"
    world.store.servers.remove(member)
    assert call(world, "DeleteWorkgroup", WorkgroupId=group)[0] == 200


def test_other_accounts_workgroups_do_not_exist(world: World) -> None:
    group, source, other = made(world), world.source().id, world.store.keys.create("2")
    theirs = world.source("2", name="theirs").id
    assert call(world, "DescribeWorkgroups", other)[1]["TotalCount"] == 0
    assert call(world, "CreateWorkgroup", other, Name="group")[0] == 200
    for action, more in (
        ("ModifyWorkgroupAttribute", {}),
        ("DeleteWorkgroup", {}),
        ("AssociateSourceServers", {"SourceId": theirs}),
        ("DisassociateSourceServers", {"SourceId": theirs}),
    ):
        status, reply = call(world, action, other, WorkgroupId=group, **more)
        assert (status, reply["Code"]) == (404, "InvalidWorkgroupId.NotFound")
    status, reply = call(world, "AssociateSourceServers", WorkgroupId=group, **sources(source, theirs))
    assert (status, reply["Code"]) == (404, "InvalidSourceId.NotFound")
    assert source not in reply["Message"]


def test_migration_between_zones_is_refused_by_a_code_of_its_own(world: World) -> None:
    for parameters in ({}, {"InstanceId": "i-1", "TargetZoneId": "cn-hangzhou-b", "Disk__1__DiskId": "d-1"}):
        status, reply = call(world, "CreateCrossZoneMigrationJob", **parameters)
        assert (status, reply["Code"]) == (400, "UnsupportedOperation.CrossZoneMigration")
        assert "CreateReplicationJob" in reply["Recommend"]


def test_the_owner_of_a_control_plane_sets_the_quota(world: World) -> None:
    world.services = replace(world.services, workgroup_quota=1)
    assert call(world, "CreateWorkgroup", Name="one")[0] == 200
    status, reply = call(world, "CreateWorkgroup", Name="two")
    assert (status, reply["Code"]) == (400, "QuotaExceeded.Workgroup")
