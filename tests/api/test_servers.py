"""The source server actions."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rehost.core.agentapi import Heartbeat
from rehost.core.server import GIB
from tests.api.signed import call
from tests.api.world import INVENTORY, World


def described(world: World, **filters: str) -> list[dict[str, Any]]:
    reply = call(world, "DescribeSourceServers", **filters)[1]
    assert reply["TotalCount"] == len(reply["SourceServers"]["SourceServer"])
    return list(reply["SourceServers"]["SourceServer"])


def job_of(world: World, source: str) -> str:
    reply = call(world, "CreateReplicationJob", RegionId="local", SourceId=source)[1]
    return str(reply["JobId"])


def test_a_source_as_the_agent_tells_it(world: World) -> None:
    source = world.source()
    info = json.dumps({"hostname": "web1", "cores": "2"})
    world.store.servers.heartbeat(source.id, Heartbeat(INVENTORY, info, "0.2.0"))
    (server,) = described(world)
    assert (server["State"], server["AgentVersion"], server["SystemInfo"]) == ("Available", "0.2.0", info)
    assert (server["Platform"], server["Architecture"], server["KernelLevel"]) == ("Debian", "x86_64", 1)
    assert (server["ReplicationDriver"], server["HeartbeatRate"], server["ErrorCode"]) == ("SMT", 30, "")
    assert server["SystemDiskSize"] == 25
    assert server["SystemDiskParts"]["SystemDiskPart"] == [
        {"CanBlock": True, "Device": "0_0", "Need": True, "Path": "/", "SizeBytes": 24 * GIB},
        {"CanBlock": True, "Device": "0_1", "Need": True, "Path": "", "SizeBytes": GIB // 2},
    ]
    part = {"CanBlock": True, "Device": "1_0", "Need": False, "Path": "/home/data", "SizeBytes": 29 * GIB}
    assert server["DataDisks"]["DataDisk"] == [
        {"Index": 1, "Parts": {"Part": [part]}, "Path": "/home/data", "Size": 30}
    ]


def test_missed_heartbeats(world: World) -> None:
    world.source()
    world.clock.ahead = 89
    assert described(world)[0]["State"] == "Available"
    world.clock.ahead = 95
    (server,) = described(world, State="unavailable")
    assert (server["State"], server["ErrorCode"]) == ("Unavailable", "SourceServer.Offline")
    assert json.loads(server["StatusInfo"])["error_code"] == "SourceServer.Offline"


def test_errors_of_the_agent(world: World) -> None:
    source = world.source()
    world.store.servers.heartbeat(
        source.id, Heartbeat(INVENTORY, "{}", "0.1.0", "S1", "Something is missing.")
    )
    (server,) = described(world)
    assert (server["State"], server["ErrorCode"]) == ("Unavailable", "S1")
    assert json.loads(server["StatusInfo"]) == {"error_code": "S1", "error_msg": "Something is missing."}


def test_why_writes_are_not_tracked(world: World) -> None:
    source = world.source()
    untracked = replace(INVENTORY, untracked="typed programs: the kernel refuses")
    world.store.servers.heartbeat(source.id, Heartbeat(untracked, "{}", "0.1.0", "", ""))
    (server,) = described(world)
    assert (server["State"], server["ErrorCode"], server["KernelLevel"]) == ("Available", "", 1)
    assert json.loads(server["StatusInfo"]) == {"untracked": "typed programs: the kernel refuses"}


def test_filters(world: World) -> None:
    one, two = world.source(name="one"), world.source(name="two")
    job = job_of(world, two.id)
    assert [s["SourceId"] for s in described(world, SourceId__1=one.id)] == [one.id]
    assert {s["SourceId"] for s in described(world, SourceId__1=one.id, SourceId__2=two.id)} == {
        one.id,
        two.id,
    }
    assert [s["SourceId"] for s in described(world, JobId=job)] == [two.id]
    assert [s["SourceId"] for s in described(world, Name="one")] == [one.id]
    assert [s["SourceId"] for s in described(world, State="Available", JobId=job)] == [two.id]
    assert described(world, State="InUse") == []
    reply = call(world, "DescribeSourceServers", State="Asleep")[1]
    assert reply["Code"] == "InvalidState.ValueNotSupported"
    assert "Available, InUse, Unavailable, Deleting" in reply["Message"]
    assert (
        call(world, "DescribeSourceServers", PageNumber="0")[1]["Code"]
        == "InvalidPageNumber.ValueNotSupported"
    )


def test_delete_without_jobs(world: World) -> None:
    source = world.source()
    assert call(world, "DeleteSourceServer", SourceId=source.id)[0] == 200
    assert all(server["State"] == "Deleting" for server in described(world))


def test_delete_with_jobs_needs_force(world: World) -> None:
    source = world.source()
    job = job_of(world, source.id)
    for force in ({}, {"Force": "false"}):
        status, reply = call(world, "DeleteSourceServer", SourceId=source.id, **force)
        assert (status, reply["Code"]) == (400, "ReplicationJob.Related")
        assert job in reply["Message"]
    assert call(world, "DeleteSourceServer", SourceId=source.id, Force="True")[0] == 200
    (deleted,) = call(world, "DescribeReplicationJobs")[1]["ReplicationJobs"]["ReplicationJob"]
    assert (deleted["JobId"], deleted["Status"]) == (job, "Deleting")
    status, reply = call(world, "DeleteSourceServer", SourceId=source.id)
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")


@pytest.mark.parametrize("force", ["true", "false"])
def test_running_jobs_keep_their_source(world: World, force: str) -> None:
    source = world.source()
    job = job_of(world, source.id)
    call(world, "StartReplicationJob", JobId=job)
    status, reply = call(world, "DeleteSourceServer", SourceId=source.id, Force=force)
    assert (status, reply["Code"]) == (400, "SourceServer.WithRunningReplicationJob")
    assert job in reply["Message"]


def test_other_accounts_sources_do_not_exist(world: World) -> None:
    source = world.source()
    other = world.store.keys.create("2")
    assert call(world, "DescribeSourceServers", other)[1]["TotalCount"] == 0
    for action, more in (("DeleteSourceServer", {}), ("CreateReplicationJob", {"RegionId": "local"})):
        status, reply = call(world, action, other, SourceId=source.id, **more)
        assert (status, reply["Code"]) == (404, "InvalidSourceId.NotFound")
    assert call(world, "DescribeSourceServers")[1]["TotalCount"] == 1


def test_disks_in_the_newer_form(world: World) -> None:
    world.source()
    disks = described(world)[0]["Disks"]
    root = {"CanBlock": True, "Path": "/", "SizeBytes": 24 * GIB, "Type": "ext4"}
    swap = {"CanBlock": True, "Path": "/dev/sda2", "SizeBytes": GIB // 2, "Type": "swap"}
    data = {"CanBlock": True, "Path": "/home/data", "SizeBytes": 29 * GIB, "Type": "xfs"}
    assert disks == {
        "System": {"Offset": 1 << 20, "Parts": {"Part": [root, swap]}, "Size": 25},
        "Data": {"Data": [{"Offset": 1 << 20, "Parts": {"Part": [data]}, "Size": 30}]},
    }


def test_names_and_descriptions_are_changed(world: World) -> None:
    source = world.source().id
    asked = {"SourceId": source, "Name": "迁移源:a_1-b", "Description": "1st & <only>"}
    assert call(world, "ModifySourceServerAttribute", **asked)[1].keys() == {"RequestId"}
    (server,) = described(world, Name="迁移源:a_1-b")
    assert server["Description"] == "1st & <only>"
    call(world, "ModifySourceServerAttribute", SourceId=source, Description="")
    (server,) = described(world)
    assert (server["Name"], server["Description"]) == ("迁移源:a_1-b", "")
    assert call(world, "ModifySourceServerAttribute", SourceId=source)[0] == 200
    assert described(world) == [server]


def test_the_state_does_not_matter_for_a_change_but_deleting_does(world: World) -> None:
    running, offline = world.source(name="running").id, world.source(name="offline").id
    call(world, "StartReplicationJob", JobId=job_of(world, running))
    world.clock.ahead = 600
    for source in (running, offline):
        assert call(world, "ModifySourceServerAttribute", SourceId=source, Description="x")[0] == 200
    call(world, "DeleteSourceServer", SourceId=offline)
    status, reply = call(world, "ModifySourceServerAttribute", SourceId=offline, Description="x")
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")


def test_a_name_is_given_to_one_source_server_only(world: World) -> None:
    """Hostnames may repeat; what people call them may not."""
    one, two = world.source(name="same").id, world.source(name="same").id
    assert call(world, "ModifySourceServerAttribute", SourceId=one, Name="first")[0] == 200
    assert call(world, "ModifySourceServerAttribute", SourceId=one, Name="first")[0] == 200
    status, reply = call(world, "ModifySourceServerAttribute", SourceId=two, Name="first", Description="d")
    assert (status, reply["Code"]) == (400, "SourceServerName.Duplicate")
    assert one in reply["Message"]
    assert world.store.servers.get(two).description != "d"
    theirs = world.source("2", name="theirs")
    assert call(world, "ModifySourceServerAttribute", world.store.keys.create("2"), SourceId=theirs.id,
                Name="first")[0] == 200  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"Name": "n"}, "InvalidName.Malformed"),
        ({"Name": "n" * 129}, "InvalidName.Malformed"),
        ({"Name": "1name"}, "InvalidName.Malformed"),
        ({"Name": "http://name"}, "InvalidName.Malformed"),
        ({"Name": "a.name"}, "InvalidName.Malformed"),
        ({"Description": "d" * 257}, "InvalidDescription.Malformed"),
        ({"Description": "https://d"}, "InvalidDescription.Malformed"),
        ({"SourceId": ""}, "MissingSourceId"),
        ({"SourceId": "s-1"}, "InvalidSourceId.NotFound"),
        ({"ResourceGroupId": "r g"}, "InvalidResourceGroupId.Malformed"),
    ],
)
def test_changes_that_are_refused(world: World, parameters: dict[str, str], code: str) -> None:
    source = world.source()
    reply = call(world, "ModifySourceServerAttribute", **{"SourceId": source.id, **parameters})[1]
    assert reply["Code"] == code
    assert world.store.servers.get(source.id).name == source.name


def test_filters_by_group_and_type_of_job(world: World) -> None:
    one, two = world.source(name="one").id, world.source(name="two").id
    call(world, "ModifySourceServerAttribute", SourceId=one, ResourceGroupId="rg-1")
    job_of(world, two)

    def found(**filters: str) -> set[str]:
        return {server["SourceId"] for server in described(world, **filters)}

    assert found(ResourceGroupId="rg-1") == {one}
    assert found(ResourceGroupId="rg-2") == found(WorkgroupId="w-1") == set()
    assert found(RelatedJobType__1="0") == found(RelatedJobType__1="3", RelatedJobType__2="0") == {two}
    assert found(RelatedJobType__1="1") == set()
    reply = call(world, "DescribeSourceServers", RelatedJobType__1="4")[1]
    assert reply["Code"] == "InvalidRelatedJobType.ValueNotSupported"
    call(world, "ModifySourceServerAttribute", SourceId=one, ResourceGroupId="")
    assert found(ResourceGroupId="rg-1") == set()


def test_pages_are_of_50_at_most_and_count_all(world: World) -> None:
    for number in range(3):
        world.source(name=f"s{number}")
    pages = [call(world, "DescribeSourceServers", PageSize="2", PageNumber=str(n))[1] for n in (1, 2)]
    assert [(page["TotalCount"], page["PageNumber"], page["PageSize"]) for page in pages] == [
        (3, 1, 2),
        (3, 2, 2),
    ]
    ids = [s["SourceId"] for page in pages for s in page["SourceServers"]["SourceServer"]]
    assert len(set(ids)) == 3
    assert call(world, "DescribeSourceServers")[1]["PageSize"] == 10
    reply = call(world, "DescribeSourceServers", PageSize="51")[1]
    assert reply["Code"] == "InvalidPageSize.ValueNotSupported"
