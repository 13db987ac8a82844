"""What users may do: the resources that the seed's table names, and the refusal that says what is missing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rehost.api import gateway
from rehost.api.actions import ACTIONS
from rehost.api.spec import Resource
from rehost.store.keys import AccessKey
from rehost.store.principals import PrincipalKind
from tests.api.signed import call, sign_v1, v1_parameters
from tests.api.world import ACCOUNT, World

# The seed's table; CutOverReplicationJob is missing from it and is like the others on jobs.
SOURCES, SOURCE = Resource("sourceServer"), Resource("sourceServer", "SourceId")
JOBS, JOB = Resource("replicationJob"), Resource("replicationJob", "JobId")
TABLE = {
    "DeleteSourceServer": {SOURCE},
    "DescribeSourceServers": {SOURCES},
    "ModifySourceServerAttribute": {SOURCE},
    "CreateReplicationJob": {SOURCE, JOBS},
    "DeleteReplicationJob": {JOB},
    "DescribeReplicationJobs": {JOBS},
    "ModifyReplicationJobAttribute": {JOB},
    "StartReplicationJob": {JOB},
    "StopReplicationJob": {JOB},
    "CutOverReplicationJob": {JOB},
}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_says_what_it_asks_leave_for(name: str) -> None:
    action = ACTIONS[name]
    assert action.resources, "an action without resources may be called by everybody: fill Action.resources"
    parameters = {parameter.name for parameter in action.parameters}
    for resource in action.resources:
        assert resource.kind
        assert not resource.parameter or resource.parameter in parameters
        assert resource.when is None or resource.when[0] in parameters
    if name in TABLE:
        assert set(action.resources) == TABLE[name]


def user(world: World, name: str, *statements: dict[str, Any]) -> AccessKey:
    """The key of a new user with one policy."""
    world.store.principals.create(ACCOUNT, PrincipalKind.USER, name)
    if statements:
        world.store.policies.put(ACCOUNT, name, json.dumps({"Version": "1", "Statement": list(statements)}))
        world.store.policies.attach(ACCOUNT, f"user/{name}", name)
    return world.store.keys.create(ACCOUNT, f"user/{name}")


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def code(world: World, key: AccessKey, action: str, **business: str) -> str:
    return str(call(world, action, key, **business)[1].get("Code", "OK"))


def job(world: World, region: str = "cn-a") -> str:
    source = world.source()
    made = call(world, "CreateReplicationJob", SourceId=source.id, RegionId=region)[1]
    return str(made["JobId"])


def test_a_new_user_may_do_nothing_and_learns_what_is_missing(world: World) -> None:
    ann = user(world, "ann")
    status, reply = call(world, "StartReplicationJob", ann, JobId="j-1", RegionId="cn-a")
    assert (status, reply["Code"]) == (403, "Forbidden.Unauthorized")
    assert reply["Message"].startswith("A required authorization for the specified action is not supplied.")
    assert "user/ann may not do smc:StartReplicationJob on" in reply["Message"]
    lacking = reply["Recommend"].partition("the statement ")[2].partition(" to user/ann")[0]
    world.store.policies.put(ACCOUNT, "new", json.dumps({"Version": "1", "Statement": json.loads(lacking)}))
    world.store.policies.attach(ACCOUNT, "user/ann", "new")
    assert code(world, ann, "StartReplicationJob", JobId="j-1", RegionId="cn-a") == "InvalidJobId.NotFound"


def test_no_action_is_open_to_a_user_without_policies(world: World) -> None:
    ann, filled = user(world, "ann"), 0
    for name, action in ACTIONS.items():
        values = {parameter.name: "1" for parameter in action.parameters if parameter.required}
        answer = code(world, ann, name, **values)
        assert answer != "OK", name
        filled += answer == "Forbidden.Unauthorized"
    assert filled >= len(ACTIONS) // 2  # the others found fault with their parameters before


def test_creating_a_job_needs_leave_for_its_source_and_for_jobs(world: World) -> None:
    source = world.source()
    on_source = allow("smc:*", f"acs:smc:*:{ACCOUNT}:sourceServer/{source.id}")
    on_jobs = allow("smc:CreateReplicationJob", "acs:smc:*:*:replicationJob/*")
    wanted = {"SourceId": source.id, "RegionId": "cn-a"}
    assert (
        code(world, user(world, "a", on_source), "CreateReplicationJob", **wanted) == "Forbidden.Unauthorized"
    )
    assert (
        code(world, user(world, "b", on_jobs), "CreateReplicationJob", **wanted) == "Forbidden.Unauthorized"
    )
    assert code(world, user(world, "c", on_source, on_jobs), "CreateReplicationJob", **wanted) == "OK"


def test_a_denial_outweighs_and_is_named(world: World) -> None:
    mine = job(world)
    ann = user(world, "ann", allow("smc:*"), deny("smc:Delete*", f"acs:smc:*:*:replicationJob/{mine}"))
    assert code(world, ann, "DescribeReplicationJobs") == "OK"
    status, reply = call(world, "DeleteReplicationJob", ann, JobId=mine)
    assert (status, reply["Code"]) == (403, "Forbidden.Unauthorized")
    assert "ann denies it" in reply["Message"]


def test_an_id_with_a_star_is_not_a_pattern(world: World) -> None:
    ann = user(world, "ann", allow("smc:*", "acs:smc:*:*:replicationJob/j-1"))
    assert code(world, ann, "StartReplicationJob", JobId="*") == "Forbidden.Unauthorized"
    assert code(world, ann, "StartReplicationJob", JobId="j-*") == "Forbidden.Unauthorized"


@pytest.mark.parametrize(
    "region", ["cn-a:1:replicationJob/", "x:y:replicationJob/j-1:", "*:*:replicationJob/"]
)
def test_a_region_cannot_pass_for_another_resource(world: World, region: str) -> None:
    """As a text, acs:smc:cn-a:1:replicationJob/:<account>:sourceServer/* would match the policy's pattern."""
    ann = user(world, "ann", allow("smc:*", "acs:smc:*:*:replicationJob/*"))
    source = world.source().id
    assert code(world, ann, "DescribeSourceServers", RegionId=region) == "InvalidRegionId.Malformed"
    change = {"SourceId": source, "Name": "mine-now", "RegionId": region}
    assert code(world, ann, "ModifySourceServerAttribute", **change) == "InvalidRegionId.Malformed"
    assert code(world, ann, "DeleteSourceServer", **change) == "InvalidRegionId.Malformed"
    assert world.store.servers.get(source).name == "web1"


def test_a_job_is_in_its_own_region_whatever_the_request_says(world: World) -> None:
    ann = user(world, "ann", allow("smc:*", "acs:smc:cn-a:*:*"))
    here, there = job(world, "cn-a"), job(world, "cn-b")
    for said in ({}, {"RegionId": "cn-a"}, {"RegionId": "cn-b"}):
        assert code(world, ann, "StartReplicationJob", JobId=there, **said) == "Forbidden.Unauthorized"
    assert code(world, ann, "StartReplicationJob", JobId=here, RegionId="cn-b") == "OK"
    assert code(world, ann, "DescribeReplicationJobs", RegionId="cn-a") == "OK"
    assert code(world, ann, "DescribeReplicationJobs", RegionId="cn-b") == "Forbidden.Unauthorized"
    assert code(world, ann, "DescribeReplicationJobs") == "Forbidden.Unauthorized"


def test_a_denied_region_cannot_be_left_unsaid(world: World) -> None:
    ann = user(world, "ann", allow("smc:*"), deny("smc:*", "acs:smc:cn-b:*:*"))
    assert code(world, ann, "DescribeReplicationJobs", RegionId="cn-a") == "OK"
    assert code(world, ann, "DescribeReplicationJobs") == "Forbidden.Unauthorized"


def test_conditions_see_where_and_how_a_request_comes(world: World) -> None:
    near = {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}, "Bool": {"acs:SecureTransport": "true"}}
    ann = user(world, "ann", allow("smc:*", Condition=near))
    for origin, status in (
        (gateway.Origin("h", "10.1.1.1", True), 200),
        (gateway.Origin("h", "11.1.1.1", True), 403),
        (gateway.Origin("h", "10.1.1.1", False), 403),
    ):
        signed = sign_v1("GET", v1_parameters(ann, world.clock(), "DescribeSourceServers"), ann.secret)
        request = gateway.Request("GET", list(signed.items()), [], {}, b"")
        assert gateway.answer(request, world.services, origin).status == status


def test_what_changes_holds_at_once(world: World) -> None:
    ann = user(world, "ann", allow("smc:Describe*"))
    assert code(world, ann, "DescribeSourceServers") == "OK"
    world.store.policies.put(ACCOUNT, "ann", json.dumps({"Version": "1", "Statement": [deny("*")]}))
    assert code(world, ann, "DescribeSourceServers") == "Forbidden.Unauthorized"
    world.store.policies.detach(ACCOUNT, "user/ann", "ann")
    world.store.policies.attach(ACCOUNT, "user/ann", "AliyunSMCFullAccess")
    assert code(world, ann, "DescribeSourceServers") == "OK"
    world.store.principals.delete(ACCOUNT, PrincipalKind.USER, "ann")
    assert code(world, ann, "DescribeSourceServers") == "InvalidAccessKeyId.NotFound"


def test_an_instance_role_has_to_exist_where_there_are_roles(world: World) -> None:
    wanted = {"SourceId": world.source().id, "RegionId": "cn-a", "InstanceRamRole": "Nobody"}
    world.services = replace(world.services, instance_roles=lambda: frozenset({"SMCAdmin"}))
    status, reply = call(world, "CreateReplicationJob", **wanted)
    assert (status, reply["Code"]) == (404, "InvalidInstanceRamRole.NotFound")
    status, made = call(world, "CreateReplicationJob", **{**wanted, "InstanceRamRole": "SMCAdmin"})
    assert status == 200
    change = {"JobId": made["JobId"], "InstanceRamRole": "Nobody"}
    assert (
        code(world, world.key, "ModifyReplicationJobAttribute", **change) == "InvalidInstanceRamRole.NotFound"
    )
    assert world.store.jobs.get(made["JobId"]).spec.instance_ram_role == "SMCAdmin"
