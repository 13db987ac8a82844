"""Every error that the reference documents, provoked for real and read by the SDKs: code and HTTP status."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from rehost.api import codes
from rehost.api.actions import ACTIONS
from rehost.core.job import JobState
from rehost.store.keys import AccessKey
from rehost.store.principals import PrincipalKind
from rehost.store.schema import source_servers
from tests.api.sdks import SDKS, Answer, Endpoint
from tests.api.signed import call
from tests.api.world import ACCOUNT, Certificates, World, serving_on
from tests.jobpaths import bring_to

pytestmark = [
    # The classic SDK's bundled urllib3 uses what the ssl module is about to drop.
    pytest.mark.filterwarnings(
        r"ignore:ssl\.(PROTOCOL_TLS|match_hostname\(\)) is deprecated:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:aliyunsdkcore"),
    pytest.mark.filterwarnings(
        r"ignore:implementation_of_do_action\(\) method is deprecated:DeprecationWarning"
    ),
]

OF_TAGS = {
    "NumberExceed.Tags": 400,
    "MissingParameter.ResourceType": 400,
    "InvalidResourceType.NotFound": 400,
    "NumberExceed.ResourceIds": 400,
    "Duplicate.ResourceId": 400,
    "InvalidResourceId.NotFound": 400,
}
DOCUMENTED: dict[str, dict[str, int]] = {
    "ModifySourceServerAttribute": {
        "SourceServerState.Invalid": 400,
        "SourceServerName.Duplicate": 400,
        "InternalError": 500,
    },
    "DescribeSourceServers": {"InternalError": 500, "Forbidden.Unauthorized": 403},
    "DeleteSourceServer": {
        "SourceServerState.Invalid": 400,
        "SourceServer.WithRunningReplicationJob": 400,
        "ReplicationJob.Related": 400,
        "InternalError": 500,
    },
    "CreateReplicationJob": {
        "SourceServerState.Invalid": 400,
        "ReplicationJobDataDiskIndex.Invalid": 400,
        "VSwitchIdVpcId.Mismatch": 400,
        "InvalidSecurityGroupId.IncorrectNetworkType": 400,
        "InvalidSecurityGroupId.VPCMismatch": 400,
        "QuotaExceeded.ReplicationJob": 400,
        "ReplicationJobName.Duplicate": 400,
        "InternalError": 500,
    },
    "DeleteReplicationJob": {"ReplicationJob.InvalidStatus": 400, "InternalError": 500},
    "DescribeReplicationJobs": {"InternalError": 500, "Forbidden.Unauthorized": 403},
    "ModifyReplicationJobAttribute": {
        "DataDisk.DuplicateIndex": 400,
        "ReplicationJob.InvalidStatus": 400,
        "ReplicationJobDataDiskIndex.Invalid": 400,
        "ReplicationJobName.Duplicate": 400,
        "InternalError": 500,
    },
    "StartReplicationJob": {
        "ReplicationJob.InvalidStatus": 400,
        "SourceServerState.Invalid": 400,
        "InternalError": 500,
    },
    "StopReplicationJob": {"ReplicationJob.InvalidStatus": 400, "InternalError": 500},
    "CutOverReplicationJob": {
        "ReplicationJob.InvalidStatus": 400,
        "SourceServerState.Invalid": 400,
        "InternalError": 500,
    },
    "TagResources": OF_TAGS,
    "ListTagResources": {**OF_TAGS, "InvalidParameter.TagValue": 400},
    "UntagResources": OF_TAGS,
}
"""As the reference has them: HTTP status by code by action."""

CANNOT_OCCUR = {
    "VSwitchIdVpcId.Mismatch": "no driver has networks of a cloud: both ids are kept as they are given",
    "InvalidSecurityGroupId.IncorrectNetworkType": "no action takes a security group",
    "InvalidSecurityGroupId.VPCMismatch": "no action takes a security group",
}

ALL = [
    (action, code)
    for action, known in DOCUMENTED.items()
    for code in known
    if code not in CANNOT_OCCUR and code != "InternalError"
]
READERS = [SDKS[name] for name in ("classic-POST-JSON", "classic-GET-XML", "tea-ACS3-sync", "tea-V1-sync")]


@dataclass
class Stage:
    """What an error takes to occur."""

    world: World
    key: AccessKey
    source: str  # Available
    job: str  # of it, Ready
    other: str  # a source server without a job

    @classmethod
    def set(cls, world: World) -> "Stage":
        source, other = (world.source(name=f"server-{number}").id for number in range(2))
        world.store.servers.modify(other, "test", name="taken")
        stage = cls(world, world.key, source, "", other)
        stage.job = stage.made(source, Name="first")
        return stage

    def made(self, source: str, **wanted: str) -> str:
        made = call(self.world, "CreateReplicationJob", RegionId="cn-a", SourceId=source, **wanted)[1]
        return str(made["JobId"])

    def away(self, source: str) -> None:
        """Its agent has not been heard of for long."""
        with self.world.store.database.write() as connection:
            one = source_servers.update().where(source_servers.c.id == source)
            connection.execute(one.values(heartbeat=0.0))

    def deleting(self, source: str) -> None:
        self.world.store.servers.delete(source, True, "test")

    def state(self, state: JobState) -> None:
        bring_to(self.world.store, self.job, state)

    def user(self) -> None:
        """Calls come from one who may do nothing."""
        self.world.store.principals.create(ACCOUNT, PrincipalKind.USER, "ann")
        self.key = self.world.store.keys.create(ACCOUNT, principal="user/ann")

    def no_more_jobs(self) -> None:
        self.world.services = replace(self.world.services, job_quota=1)


Wanted = Mapping[str, Any]


def _state(state: JobState) -> Callable[[Stage], Wanted]:
    def provoke(stage: Stage) -> Wanted:
        stage.state(state)
        return {"JobId": stage.job}

    return provoke


def _away(state: JobState) -> Callable[[Stage], Wanted]:
    def provoke(stage: Stage) -> Wanted:
        stage.state(state)
        stage.away(stage.source)
        return {"JobId": stage.job}

    return provoke


def _unauthorized(stage: Stage) -> Wanted:
    stage.user()
    return {}


def _deleting(stage: Stage) -> Wanted:
    stage.deleting(stage.other)
    return {"SourceId": stage.other, "Name": "another"}


def _runs(stage: Stage) -> Wanted:
    stage.state(JobState.SYNCING)
    return {"SourceId": stage.source, "Force": True}


def _quota(stage: Stage) -> Wanted:
    stage.no_more_jobs()
    return {"RegionId": "cn-a", "SourceId": stage.other}


def _create(**wanted: Any) -> Callable[[Stage], Wanted]:
    return lambda stage: {"RegionId": "cn-a", "SourceId": stage.other, **wanted}


def _modify_a_started(stage: Stage) -> Wanted:
    stage.state(JobState.SYNCING)
    return {"JobId": stage.job, "ImageName": "image"}


def _modify(**wanted: Any) -> Callable[[Stage], Wanted]:
    return lambda stage: {"JobId": stage.job, **wanted}


def _modify_to_a_taken_name(stage: Stage) -> Wanted:
    stage.made(stage.other, Name="second")
    return {"JobId": stage.job, "Name": "second"}


def _tags(stage: Stage, **wanted: Any) -> Wanted:
    return {"ResourceType": "sourceserver", "ResourceId": [stage.source], **wanted}


NONE = {"Index": 9, "Size": 40}
TWICE = {"Index": 1, "Size": 40}
PROVOKED: dict[tuple[str, str], Callable[[Stage], Wanted]] = {
    ("ModifySourceServerAttribute", "SourceServerState.Invalid"): _deleting,
    ("ModifySourceServerAttribute", "SourceServerName.Duplicate"): lambda stage: {
        "SourceId": stage.source, "Name": "taken",
    },
    ("DescribeSourceServers", "Forbidden.Unauthorized"): _unauthorized,
    ("DeleteSourceServer", "SourceServerState.Invalid"): lambda stage: {
        "SourceId": _deleting(stage)["SourceId"],
    },
    ("DeleteSourceServer", "SourceServer.WithRunningReplicationJob"): _runs,
    ("DeleteSourceServer", "ReplicationJob.Related"): lambda stage: {"SourceId": stage.source},
    ("CreateReplicationJob", "SourceServerState.Invalid"): lambda stage: {
        "RegionId": "cn-a", "SourceId": stage.source,  # which has an unfinished job
    },
    ("CreateReplicationJob", "ReplicationJobDataDiskIndex.Invalid"): _create(DataDisk=[NONE]),
    ("CreateReplicationJob", "QuotaExceeded.ReplicationJob"): _quota,
    ("CreateReplicationJob", "ReplicationJobName.Duplicate"): _create(Name="first"),
    ("DeleteReplicationJob", "ReplicationJob.InvalidStatus"): _state(JobState.SYNCING),
    ("DescribeReplicationJobs", "Forbidden.Unauthorized"): _unauthorized,
    ("ModifyReplicationJobAttribute", "DataDisk.DuplicateIndex"): _modify(DataDisk=[TWICE, TWICE]),
    ("ModifyReplicationJobAttribute", "ReplicationJob.InvalidStatus"): _modify_a_started,
    ("ModifyReplicationJobAttribute", "ReplicationJobDataDiskIndex.Invalid"): _modify(DataDisk=[NONE]),
    ("ModifyReplicationJobAttribute", "ReplicationJobName.Duplicate"): _modify_to_a_taken_name,
    ("StartReplicationJob", "ReplicationJob.InvalidStatus"): _state(JobState.SYNCING),
    ("StartReplicationJob", "SourceServerState.Invalid"): _away(JobState.READY),
    ("StopReplicationJob", "ReplicationJob.InvalidStatus"): _state(JobState.READY),
    ("CutOverReplicationJob", "ReplicationJob.InvalidStatus"): _state(JobState.READY),
    ("CutOverReplicationJob", "SourceServerState.Invalid"): lambda stage: {
        **_away(JobState.WAITING)(stage), "SyncData": True,
    },
    ("ListTagResources", "InvalidParameter.TagValue"): lambda stage: _tags(stage, Tag=[{"Value": "v"}]),
    ("TagResources", "NumberExceed.Tags"): lambda stage: _tags(
        stage, Tag=[{"Key": f"k{number}"} for number in range(21)]
    ),
    ("ListTagResources", "NumberExceed.Tags"): lambda stage: _tags(
        stage, Tag=[{"Key": f"k{number}"} for number in range(21)]
    ),
    ("UntagResources", "NumberExceed.Tags"): lambda stage: _tags(
        stage, TagKey=[f"k{number}" for number in range(21)]
    ),
}  # fmt: skip


def _of_resources(action: str) -> dict[tuple[str, str], Callable[[Stage], Wanted]]:
    more: Wanted = {"Tag": [{"Key": "k", "Value": "v"}]} if action == "TagResources" else {}
    return {
        (action, "MissingParameter.ResourceType"): lambda stage: _tags(stage, **more, ResourceType=""),
        (action, "InvalidResourceType.NotFound"): lambda stage: _tags(stage, **more, ResourceType="image"),
        (action, "NumberExceed.ResourceIds"): lambda stage: _tags(
            stage, **more, ResourceId=[f"s-{number}" for number in range(51)]
        ),
        (action, "Duplicate.ResourceId"): lambda stage: _tags(stage, **more, ResourceId=[stage.source] * 2),
        (action, "InvalidResourceId.NotFound"): lambda stage: _tags(stage, **more, ResourceId=["s-none"]),
    }


for tagging in ("TagResources", "ListTagResources", "UntagResources"):
    PROVOKED |= _of_resources(tagging)


@pytest.fixture
def records(tmp_path: Any) -> Any:
    """One kind of database is enough: the tests of each action have both."""
    return tmp_path


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage.set(world)


@pytest.fixture
def ask(certificates: Certificates) -> Iterator[Callable[..., list[Answer]]]:
    """One action by several SDKs over HTTPS, in turn."""

    def act(stage: Stage, action: str, wanted: Wanted) -> list[Answer]:
        with serving_on(stage.world.services, certificates.certificate, certificates.key) as port:
            to = Endpoint(port, certificates.ca)
            return [sdk(to, stage.key, action, **wanted) for sdk in READERS]

    return act


@pytest.mark.parametrize(("action", "code"), ALL)
def test_a_documented_error(stage: Stage, ask: Callable[..., list[Answer]], action: str, code: str) -> None:
    answers = ask(stage, action, PROVOKED[action, code](stage))
    assert {(answer.status, answer.code) for answer in answers} == {(DOCUMENTED[action][code], code)}


WHAT_ELSE: dict[str, Wanted] = {
    "ModifySourceServerAttribute": {"SourceId": "s-1", "Name": "another"},
    "DeleteSourceServer": {"SourceId": "s-1"},
    "CreateReplicationJob": {"RegionId": "cn-a", "SourceId": "s-1"},
    "ModifyReplicationJobAttribute": {"JobId": "j-1", "Name": "another"},
}


def test_internal_errors(stage: Stage, ask: Callable[..., list[Answer]]) -> None:
    """Tables that are gone are a fault that nobody foresaw."""
    with stage.world.store.database.write() as connection:
        for table in ("source_servers", "jobs"):
            connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO gone_{table}"))
    for action in [action for action, known in DOCUMENTED.items() if "InternalError" in known]:
        wanted = WHAT_ELSE.get(action, {} if action.startswith("Describe") else {"JobId": "j-1"})
        answers = ask(stage, action, wanted)
        assert {(answer.status, answer.code) for answer in answers} == {(500, "InternalError")}, action


def test_what_the_reference_documents_is_declared_and_provoked() -> None:
    for action, known in DOCUMENTED.items():
        declared = {*codes.declared(ACTIONS[action]), *codes.OF_REQUESTS}
        assert known.keys() - declared == known.keys() & CANNOT_OCCUR.keys(), action
        for code in known.keys() - CANNOT_OCCUR.keys():
            assert codes.find(code).status == known[code]
    assert set(PROVOKED) == set(ALL)
