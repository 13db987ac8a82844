"""The reference's own example replies hold: the same nesting and JSON types, in JSON and in XML."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rehost.api import gateway, rpc, shapes
from rehost.api.actions import ACTIONS
from rehost.api.spec import Field, Fields, Nested
from rehost.core.job import JobState
from tests.api.signed import call, sign_v1, v1_parameters
from tests.api.world import World
from tests.jobpaths import bring_to

SERVERS = {
    "SourceServers": {
        "SourceServer": [
            {
                "Description": "Server Source Imported By GotoAliyun. Hostname: ubuntu14",
                "SystemInfo": '{"agent_mode":"daemon","agent_type":"aliyun","client_type":"","cores":"1"}',
                "Platform": "Ubuntu",
                "Architecture": "x86_64",
                "AgentVersion": "2.2.0",
                "SystemDiskSize": 9,
                "SourceId": "s-bp1e2fsl57knvuug****",
                "SystemDiskParts": {
                    "SystemDiskPart": [
                        {"Path": "/boot", "Device": "0_0", "CanBlock": True, "SizeBytes": 254803968},
                        {"Path": "/", "Device": "0_1", "CanBlock": True, "SizeBytes": 9403629568},
                    ]
                },
                "Name": "testSourceServerName",
                "KernelLevel": 1,
                "ReplicationDriver": "SMT",
                "State": "Unavailable",
                "CreationTime": "2020-04-26T12:49:10Z",
                "HeartbeatRate": 30,
                "ErrorCode": "SourceServer.Offline",
                "JobId": "j-bp19vlwm0tyigbmj****",
            }
        ]
    },
    "TotalCount": 1,
    "RequestId": "410E6073-66D0-45D3-AB3E-4DC3F5E42CAA",
    "PageSize": 10,
    "PageNumber": 1,
}
JOBS = {
    "TotalCount": 1,
    "ReplicationJobs": {
        "ReplicationJob": [
            {
                "Status": "Running",
                "Progress": 75.0,
                "TransitionInstanceId": "i-bp1ff25rzvnul6kr****",
                "DataDisks": {
                    "DataDisk": [
                        {
                            "Parts": {"Part": [{"Device": "2_0", "Block": True, "SizeBytes": 5334102016}]},
                            "Size": 20,
                            "Index": 2,
                        }
                    ]
                },
                "SystemDiskSize": 20,
                "NetMode": 0,
                "SourceId": "s-bp1e2fsl57knvuug****",
                "SystemDiskParts": {
                    "SystemDiskPart": [{"Device": "0_0", "Block": True, "SizeBytes": 21466120192}]
                },
                "StartTime": "2020-05-14T12:01:24Z",
                "BusinessStatus": "Processing",
                "Name": "testMigrationTaskName",
                "ValidTime": "2020-06-13T12:01:24Z",
                "RunOnce": True,
                "TargetType": "Image",
                "CreationTime": "2020-05-14T12:01:24Z",
                "RegionId": "cn-hangzhou",
                "ErrorCode": "",
                "JobId": "j-bp19vlwm0tyigbmj****",
            }
        ]
    },
    "RequestId": "6E1187E8-843A-4850-B97E-2F17F00D48F7",
    "PageSize": 10,
    "PageNumber": 1,
}
TAG_RESOURCES = {
    "TagResources": {
        "TagResource": [
            {
                "ResourceType": "ALIYUN::SMC::SOURCESERVER",
                "TagValue": "TestValue",
                "ResourceId": "s-bp1e2fsl57knvuug****",
                "TagKey": "TestKey",
            },
            {
                "ResourceType": "ALIYUN::SMC::SOURCESERVER",
                "TagValue": "TestValue",
                "ResourceId": "s-bp133rsym9xiek5k****",
                "TagKey": "TestKey",
            },
        ]
    },
    "NextToken": "",
    "RequestId": "17743161-66F3-4E7F-B8AE-845FB28B928F",
}
ONLY_REQUEST_ID = {"RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"}
# A driver without transition instances has no id of one, and the reference allows absent fields.
ABSENT = {"TransitionInstanceId"}


def differences(example: Any, reply: Any, path: str = "") -> list[str]:
    """Where a reply has another nesting or type than the example; more fields are fine."""
    if type(example) is not type(reply):
        return [f"{path}: {type(example).__name__} in the example, {type(reply).__name__} here"]
    if isinstance(example, dict):
        missing = [f"{path}.{name}: not there" for name in example.keys() - reply.keys() - ABSENT]
        both = [n for n in example if n in reply]
        return missing + [d for n in both for d in differences(example[n], reply[n], f"{path}.{n}")]
    if isinstance(example, list):
        assert reply, f"{path}: nothing to compare with"
        return [d for item in reply for d in differences(example[0], item, f"{path}[]")]
    return []


@pytest.fixture
def running(world: World) -> World:
    source = world.source()
    parameters = {"RegionId": "cn-hangzhou", "SourceId": source.id, "Name": "testMigrationTaskName"}
    created = call(world, "CreateReplicationJob", **parameters)[1]
    assert differences({"JobId": "j-bp17bclvg344jlyt****", "RequestId": "C8B26B44"}, created) == []
    assert call(world, "StartReplicationJob", JobId=created["JobId"])[1].keys() == {"RequestId"}
    return world


@pytest.mark.parametrize(
    ("action", "example"), [("DescribeSourceServers", SERVERS), ("DescribeReplicationJobs", JOBS)]
)
def test_the_references_examples(running: World, action: str, example: dict[str, Any]) -> None:
    assert differences(example, call(running, action)[1]) == []


def test_the_references_examples_of_tags(world: World) -> None:
    sources = [world.source(name=name).id for name in ("a", "b")]
    named = {f"ResourceId__{number}": source for number, source in enumerate(sources, 1)}
    of = {"ResourceType": "sourceserver"}
    tag = {"Tag__1__Key": "TestKey", "Tag__1__Value": "TestValue"}
    assert call(world, "TagResources", **named, **of, **tag)[1].keys() == ONLY_REQUEST_ID.keys()
    reply = call(world, "ListTagResources", **of)[1]
    assert differences(TAG_RESOURCES, reply) == []
    listed = reply["TagResources"]["TagResource"]
    assert {(row["ResourceType"], row["TagKey"], row["TagValue"]) for row in listed} == {
        ("ALIYUN::SMC::SOURCESERVER", "TestKey", "TestValue")
    }
    assert {row["ResourceId"] for row in listed} == set(sources)
    root = ElementTree.fromstring(ask(world, "xml", "ListTagResources", **of).body)
    assert root.tag == "ListTagResourcesResponse"
    assert root.findtext("TagResources/TagResource/TagKey") == "TestKey"
    assert root.find("NextToken") is not None
    assert call(world, "UntagResources", **named, **of, All="true")[1].keys() == ONLY_REQUEST_ID.keys()


def test_the_references_examples_of_changing_a_source_server(world: World) -> None:
    source = world.source().id
    changed = call(world, "ModifySourceServerAttribute", SourceId=source, Name="testSourceServerName")[1]
    deleted = call(world, "DeleteSourceServer", SourceId=source)[1]
    assert changed.keys() == deleted.keys() == ONLY_REQUEST_ID.keys()


def test_the_comparison_can_fail() -> None:
    assert differences({"A": {"B": [{"C": 1}]}}, {"A": [{"C": 1}]})
    assert differences({"A": [{"C": 1}]}, {"A": [{"C": 1.0}]})
    assert differences({"A": 1}, {"A": "1"})
    assert differences({"A": 1}, {})


CHECKS: dict[str, Callable[[Any], bool]] = {
    "String": lambda v: isinstance(v, str),
    "Time": lambda v: isinstance(v, str) and v.endswith("Z") and len(v) == 20,
    "Integer": lambda v: type(v) is int and abs(v) < 1 << 31,
    "Long": lambda v: type(v) is int,
    "Float": lambda v: isinstance(v, float),
    "Boolean": lambda v: isinstance(v, bool),
}


def check_types(fields: Fields, value: dict[str, Any]) -> None:
    for field in fields:
        if field.name not in value:
            continue
        if isinstance(field, Field):
            assert CHECKS[field.kind.value](value[field.name]), (field.name, value[field.name])
        elif isinstance(field, Nested):
            check_types(field.fields, value[field.name])
        else:
            for item in value[field.name][field.item]:
                if field.fields:
                    check_types(field.fields, item)
                else:
                    assert isinstance(item, str)


@pytest.mark.parametrize("action", ["DescribeSourceServers", "DescribeReplicationJobs"])
def test_replies_have_the_types_of_their_description(running: World, action: str) -> None:
    check_types(ACTIONS[action].reply, call(running, action)[1])


def leaves(example: Any, path: str = "") -> set[str]:
    """Where an example has texts and numbers, as XML's paths."""
    if isinstance(example, dict):
        inner = (leaves(item, f"{path}/{name}") for name, item in example.items() if name not in ABSENT)
        return set().union(*inner)
    if isinstance(example, list):
        return set().union(*(leaves(item, path) for item in example))
    return {path.lstrip("/")}


@pytest.mark.parametrize(
    ("action", "example"), [("DescribeSourceServers", SERVERS), ("DescribeReplicationJobs", JOBS)]
)
def test_the_references_examples_in_xml(running: World, action: str, example: dict[str, Any]) -> None:
    """They have the same elements in the same places as their JSON."""
    root = ElementTree.fromstring(ask(running, "xml", action).body)
    assert root.tag == f"{action}Response"
    assert [path for path in sorted(leaves(example)) if root.find(path) is None] == []


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("DescribeSourceServers", "SourceServers/SourceServer/SystemDiskParts/SystemDiskPart/Device"),
        ("DescribeSourceServers", "SourceServers/SourceServer/DataDisks/DataDisk/Parts/Part/Device"),
        ("DescribeReplicationJobs", "ReplicationJobs/ReplicationJob/DataDisks/DataDisk/Parts/Part/Device"),
        (
            "DescribeReplicationJobs",
            "ReplicationJobs/ReplicationJob/ReplicationJobRuns/ReplicationJobRun/Type",
        ),
        ("DescribeReplicationJobs", "TotalCount"),
    ],
)
def test_xml_nests_as_the_reference_does(running: World, action: str, path: str) -> None:
    reply = ask(running, "xml", action)
    root = ElementTree.fromstring(reply.body)
    assert (reply.status, root.tag) == (200, f"{action}Response")
    assert root.find(path) is not None
    assert root.find("RequestId") is not None


@pytest.mark.parametrize(
    ("action", "state", "parameters"),
    [
        ("StartReplicationJob", JobState.READY, {}),
        ("StopReplicationJob", JobState.SYNCING, {}),
        ("CutOverReplicationJob", JobState.WAITING, {"SyncData": "false"}),
        ("ModifyReplicationJobAttribute", JobState.READY, {"Name": "testMigrationTaskName"}),
        ("DeleteReplicationJob", JobState.READY, {}),
    ],
)
def test_replies_of_nothing_but_a_request_id(
    world: World, action: str, state: JobState, parameters: dict[str, str]
) -> None:
    """Their root is the action's name, though the reference's examples of two have DeleteReplicationJob's."""
    job = call(world, "CreateReplicationJob", RegionId="cn-hangzhou", SourceId=world.source().id)[1]["JobId"]
    bring_to(world.store, job, state)
    reply = ask(world, "xml", action, JobId=job, **parameters)
    root = ElementTree.fromstring(reply.body)
    assert (reply.status, root.tag) == (200, f"{action}Response")
    assert [child.tag for child in root] == ["RequestId"]


def test_xml_errors(world: World) -> None:
    reply = ask(world, "XML", "DeleteSourceServer", SourceId="s-<&>")
    root = ElementTree.fromstring(reply.body)
    assert (reply.status, root.tag) == (404, "Error")
    assert [child.tag for child in root] == ["RequestId", "HostId", "Code", "Message", "Recommend"]
    assert "s-<&>" in root.findtext("Message", "")


def test_other_formats_are_refused(world: World) -> None:
    assert b"InvalidFormat.ValueNotSupported" in ask(world, "yaml", "DescribeSourceServers").body


def test_xml_of_values_that_xml_cannot_hold() -> None:
    text = rpc.to_xml(
        "R", {"A": "x\0\x0b<&>é", "B": True, "C": 75.0, "D": 55.45, "E": 1 << 40, "F": []}
    ).decode()
    root = ElementTree.fromstring(text)
    assert [(child.tag, child.text) for child in root] == [
        ("A", "x\ufffd\ufffd<&>é"), ("B", "true"), ("C", "75"), ("D", "55.45"), ("E", str(1 << 40)),
    ]  # fmt: skip


def test_a_reply_never_has_undescribed_fields() -> None:
    shape = shapes.reply("Reply", ACTIONS["DescribeSourceServers"].reply)
    for values, told in (
        ({"Odd": 1}, "Odd"),
        ({"TotalCount": "1"}, "TotalCount"),
        ({"SourceServers": {"SourceServer": [{"CreationTime": 1e9}]}}, "CreationTime"),
    ):
        with pytest.raises(ValueError, match=told):
            msgspec.convert(values, shape)


def ask(world: World, form: str, action: str, **business: str) -> gateway.Reply:
    parameters = {**v1_parameters(world.key, world.clock(), action, **business), "Format": form}
    signed = sign_v1("GET", parameters, world.key.secret)
    request = rpc.Request("GET", list(signed.items()), [], {}, b"")
    return gateway.answer(request, world.services, gateway.Origin("localhost"))
