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
