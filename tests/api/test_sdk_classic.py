"""The unmodified classic SDK (aliyun-python-sdk-smc) against a running server: V1 signatures."""

import json
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

with warnings.catch_warnings():
    # Its bundled urllib3 has escapes that newer Pythons warn of when they compile it.
    warnings.simplefilter("ignore")
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.auth.composer import rpc_signature_composer
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest
    from aliyunsdksmc.request.v20190601.AssociateSourceServersRequest import AssociateSourceServersRequest
    from aliyunsdksmc.request.v20190601.CreateAccessTokenRequest import CreateAccessTokenRequest
    from aliyunsdksmc.request.v20190601.CreateCrossZoneMigrationJobRequest import (
        CreateCrossZoneMigrationJobRequest,
    )
    from aliyunsdksmc.request.v20190601.CreateReplicationJobRequest import CreateReplicationJobRequest
    from aliyunsdksmc.request.v20190601.CreateWorkgroupRequest import CreateWorkgroupRequest
    from aliyunsdksmc.request.v20190601.CutOverReplicationJobRequest import CutOverReplicationJobRequest
    from aliyunsdksmc.request.v20190601.DeleteAccessTokenRequest import DeleteAccessTokenRequest
    from aliyunsdksmc.request.v20190601.DeleteReplicationJobRequest import DeleteReplicationJobRequest
    from aliyunsdksmc.request.v20190601.DeleteSourceServerRequest import DeleteSourceServerRequest
    from aliyunsdksmc.request.v20190601.DeleteWorkgroupRequest import DeleteWorkgroupRequest
    from aliyunsdksmc.request.v20190601.DescribeReplicationJobsRequest import DescribeReplicationJobsRequest
    from aliyunsdksmc.request.v20190601.DescribeSourceServersRequest import DescribeSourceServersRequest
    from aliyunsdksmc.request.v20190601.DescribeWorkgroupsRequest import DescribeWorkgroupsRequest
    from aliyunsdksmc.request.v20190601.DisableAccessTokenRequest import DisableAccessTokenRequest
    from aliyunsdksmc.request.v20190601.DisassociateSourceServersRequest import (
        DisassociateSourceServersRequest,
    )
    from aliyunsdksmc.request.v20190601.ListAccessTokensRequest import ListAccessTokensRequest
    from aliyunsdksmc.request.v20190601.ListTagResourcesRequest import ListTagResourcesRequest
    from aliyunsdksmc.request.v20190601.ModifyReplicationJobAttributeRequest import (
        ModifyReplicationJobAttributeRequest,
    )
    from aliyunsdksmc.request.v20190601.ModifySourceServerAttributeRequest import (
        ModifySourceServerAttributeRequest,
    )
    from aliyunsdksmc.request.v20190601.ModifyWorkgroupAttributeRequest import ModifyWorkgroupAttributeRequest
    from aliyunsdksmc.request.v20190601.StartReplicationJobRequest import StartReplicationJobRequest
    from aliyunsdksmc.request.v20190601.StopReplicationJobRequest import StopReplicationJobRequest
    from aliyunsdksmc.request.v20190601.TagResourcesRequest import TagResourcesRequest
    from aliyunsdksmc.request.v20190601.UntagResourcesRequest import UntagResourcesRequest

from rehost.core.job import Event, JobState
from rehost.core.server import GIB
from rehost.store.keys import KeyStatus
from tests.api.world import Certificates, World
from tests.jobpaths import bring_to

pytestmark = [
    # Its bundled urllib3 uses what the ssl module is about to drop.
    pytest.mark.filterwarnings(
        r"ignore:ssl\.(PROTOCOL_TLS|match_hostname\(\)) is deprecated:DeprecationWarning"
    ),
    # From Python 3.12 on.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning:aliyunsdkcore"),
]


class Classic:
    """Calls by the SDK, over HTTP or over HTTPS with a private CA."""

    def __init__(self, world: World, port: int, certificates: Certificates | None) -> None:
        self.secret, self.key, self.port, self.certificates = (
            world.key.secret,
            world.key.id,
            port,
            certificates,
        )

    def __call__(self, request: Any, method: str = "POST") -> dict[str, Any]:
        with self.client(request, method) as client:
            return dict(json.loads(client.do_action_with_exception(request)))

    @contextmanager
    def client(self, request: Any, method: str = "POST") -> Iterator[Any]:
        verify = str(self.certificates.ca) if self.certificates else None
        client = AcsClient(
            self.key, self.secret, "cn-hangzhou", port=self.port, verify=verify, auto_retry=False
        )
        request.set_endpoint("127.0.0.1")
        request.set_protocol_type("https" if self.certificates else "http")
        request.set_method(method)
        try:
            yield client
        finally:
            client.session.close()

    def refusal(self, request: Any) -> ServerException:
        with pytest.raises(ServerException) as raised:
            self(request)
        return raised.value


@pytest.fixture(params=["http", "https"])
def classic(request: pytest.FixtureRequest, world: World, certificates: Certificates) -> Classic:
    tls = request.param == "https"
    port = request.getfixturevalue("tls_port" if tls else "port")
    return Classic(world, port, certificates if tls else None)


def asked(kind: Any, **parameters: Any) -> Any:
    request = kind()
    for name, value in parameters.items():
        getattr(request, f"set_{name}")(value)
    return request


def test_a_migrations_life(classic: Classic, world: World) -> None:
    source = world.source()
    server = classic(asked(DescribeSourceServersRequest, SourceIds=[source.id], PageSize=5))
    assert server["SourceServers"]["SourceServer"][0]["State"] == "Available"
    part = {"Device": "1_0", "SizeBytes": 29 * GIB, "Block": True}
    created = classic(
        asked(
            CreateReplicationJobRequest, SourceId=source.id, SystemDiskSize=80, Name="迁移_1",
            ClientToken="t", RunOnce=True, LicenseType="",
            ReplicationParameters='{"bandwidth_limit":0,"checksum":true}',
            DataDisks=[{"Index": 1, "Size": 40, "Part": [part]}],
            Tags=[{"Key": "a*b", "Value": ""}],
        )
    )  # fmt: skip
    job = created["JobId"]
    for method in ("POST", "GET"):
        found = classic(asked(DescribeReplicationJobsRequest, JobIds=[job]), method)
        shown = found["ReplicationJobs"]["ReplicationJob"][0]
        assert (shown["Name"], shown["SystemDiskSize"], shown["Status"]) == ("迁移_1", 80, "Ready")
    classic(asked(StartReplicationJobRequest, JobId=job))
    assert world.store.jobs.get(job).state.status == "Running"
    refused = classic.refusal(asked(DeleteReplicationJobRequest, JobId=job))
    assert (refused.get_http_status(), refused.get_error_code()) == (400, "ReplicationJob.InvalidStatus")
    refused = classic.refusal(asked(DeleteSourceServerRequest, SourceId=source.id, Force=True))
    assert refused.get_error_code() == "SourceServer.WithRunningReplicationJob"


def test_a_job_that_runs_again_is_changed_stopped_and_cut_over(classic: Classic, world: World) -> None:
    source = world.source()
    wishes = {"RunOnce": False, "Frequency": 12, "MaxNumberOfImageToKeep": 3}
    job = classic(asked(CreateReplicationJobRequest, SourceId=source.id, **wishes))["JobId"]
    change = asked(
        ModifyReplicationJobAttributeRequest, JobId=job, Name="changed", Frequency=6, SystemDiskSize=60,
        DataDisks=[{"Index": 1, "Size": 70}],
    )  # fmt: skip
    assert classic(change).keys() == {"RequestId"}
    found = classic(asked(DescribeReplicationJobsRequest, JobIds=[job]))
    shown = found["ReplicationJobs"]["ReplicationJob"][0]
    assert (shown["Name"], shown["Frequency"], shown["SystemDiskSize"]) == ("changed", 6, 60)
    assert shown["DataDisks"]["DataDisk"][0]["Size"] == 70
    stop = asked(StopReplicationJobRequest, JobId=job)
    cut_over = asked(CutOverReplicationJobRequest, JobId=job)
    for request in (stop, cut_over):
        refused = classic.refusal(request)
        assert (refused.get_http_status(), refused.get_error_code()) == (400, "ReplicationJob.InvalidStatus")
    bring_to(world.store, job, JobState.SYNCING)
    assert classic(stop, "GET").keys() == {"RequestId"}
    for event in (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.WAIT):
        world.store.jobs.apply(job, event, "test")
    cut_over.set_SyncData(False)
    assert classic(cut_over).keys() == {"RequestId"}
    assert world.store.jobs.get(job).cut_over


def test_deleting(classic: Classic, world: World) -> None:
    source = world.source()
    job = classic(asked(CreateReplicationJobRequest, SourceId=source.id))["JobId"]
    refused = classic.refusal(asked(DeleteSourceServerRequest, SourceId=source.id))
    assert refused.get_error_code() == "ReplicationJob.Related"
    assert classic(asked(DeleteReplicationJobRequest, JobId=job)).keys() == {"RequestId"}
    assert classic(asked(DeleteSourceServerRequest, SourceId=source.id, Force=True)).keys() == {"RequestId"}


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_changing_and_tagging(classic: Classic, world: World, method: str) -> None:
    source = world.source().id
    change = asked(ModifySourceServerAttributeRequest, SourceId=source, Name="web_迁移", Description="d")
    assert classic(change, method).keys() == {"RequestId"}
    of = {"ResourceType": "sourceserver", "ResourceIds": [source]}
    tags = [{"Key": "a*b", "Value": "值"}, {"Key": "l", "Value": ""}]
    assert classic(asked(TagResourcesRequest, Tags=tags, **of), method).keys() == {"RequestId"}
    listed = classic(asked(ListTagResourcesRequest, Tags=tags[:1], ResourceType="sourceserver"), method)
    assert [row["TagKey"] for row in listed["TagResources"]["TagResource"]] == ["a*b", "l"]
    servers = classic(asked(DescribeSourceServersRequest, Tags=tags), method)["SourceServers"]["SourceServer"]
    assert [(server["Name"], server["Tags"]["Tag"]) for server in servers] == [("web_迁移", tags)]
    assert classic(asked(UntagResourcesRequest, TagKeys=["l"], **of), method).keys() == {"RequestId"}
    assert classic(asked(UntagResourcesRequest, All=True, **of), method).keys() == {"RequestId"}
    refused = classic.refusal(asked(TagResourcesRequest, ResourceIds=[source], Tags=tags))
    assert refused.get_error_code() == "MissingParameter.ResourceType"


def test_tokens(classic: Classic) -> None:
    made = classic(asked(CreateAccessTokenRequest, Name="first", Count="5", TimeToLiveInDays="7"))
    token = made["AccessTokenId"]
    listed = classic(asked(ListAccessTokensRequest, AccessTokenIds=[token], Status="activated"))
    assert [one["Count"] for one in listed["AccessTokens"]["AccessToken"]] == ["5"]
    assert classic(asked(DisableAccessTokenRequest, AccessTokenId=token)).keys() == {"RequestId"}
    assert classic(asked(DeleteAccessTokenRequest, AccessTokenId=token)).keys() == {"RequestId"}
    refused = classic.refusal(asked(DisableAccessTokenRequest, AccessTokenId=token))
    assert (refused.get_http_status(), refused.get_error_code()) == (404, "InvalidAccessTokenId.NotFound")


def test_workgroups(classic: Classic, world: World) -> None:
    source = world.source().id
    tags = [{"Key": "k", "Value": "v"}]
    group = classic(asked(CreateWorkgroupRequest, Name="group", Tags=tags, ClientToken="t"))["WorkgroupId"]
    members = {"WorkgroupId": group, "SourceIds": [source]}
    assert classic(asked(AssociateSourceServersRequest, **members)).keys() == {"RequestId"}
    (shown,) = classic(asked(DescribeWorkgroupsRequest, WorkgroupIds=[group], Tags=tags))["Workgroups"][
        "Workgroup"
    ]
    assert shown["Warnings"]["Warning"] == [{"SourceIds": {"SourceId": [source]}, "WarningType": "UnRelated"}]
    refused = classic.refusal(asked(DeleteWorkgroupRequest, WorkgroupId=group))
    assert refused.get_error_code() == "SourceServer.Related"
    change = asked(ModifyWorkgroupAttributeRequest, WorkgroupId=group, Name="other", Description="d")
    assert classic(change).keys() == {"RequestId"}
    assert classic(asked(DisassociateSourceServersRequest, **members)).keys() == {"RequestId"}
    assert classic(asked(DeleteWorkgroupRequest, WorkgroupId=group)).keys() == {"RequestId"}


def test_migration_between_zones(classic: Classic) -> None:
    refused = classic.refusal(asked(CreateCrossZoneMigrationJobRequest, InstanceId="i-1"))
    assert refused.get_error_code() == "UnsupportedOperation.CrossZoneMigration"


def test_refusals(classic: Classic, world: World) -> None:
    refused = classic.refusal(asked(StartReplicationJobRequest))
    assert (refused.get_http_status(), refused.get_error_code()) == (400, "MissingJobId")
    refused = classic.refusal(asked(CreateReplicationJobRequest, SourceId="s-1", SystemDiskSize=5))
    assert refused.get_error_code() == "InvalidSystemDiskSize.ValueNotSupported"
    assert "SystemDiskSize" in refused.get_error_msg()
    refused = classic.refusal(asked(CreateReplicationJobRequest, SourceId="s-1"))
    assert (refused.get_http_status(), refused.get_error_code()) == (404, "InvalidSourceId.NotFound")
    assert refused.get_request_id()


def test_wrong_secret(classic: Classic) -> None:
    """The SDK compares the string to sign in the message with its own, and says what it makes of it."""
    classic.secret = "wrong"
    refused = classic.refusal(asked(DescribeSourceServersRequest))
    assert (refused.get_http_status(), refused.get_error_code()) == (400, "InvalidAccessKeySecret")


def test_unknown_and_disabled_key(classic: Classic, world: World) -> None:
    known = classic.key
    classic.key = "LTAIunknown"
    refused = classic.refusal(asked(DescribeSourceServersRequest))
    assert (refused.get_http_status(), refused.get_error_code()) == (404, "InvalidAccessKeyId.NotFound")
    classic.key = known
    world.store.keys.set_status(known, KeyStatus.INACTIVE)
    assert (
        classic.refusal(asked(DescribeSourceServersRequest)).get_error_code() == "InvalidAccessKeyId.Inactive"
    )


def test_expired_time(classic: Classic, world: World) -> None:
    world.clock.ahead = 3600
    assert classic.refusal(asked(DescribeSourceServersRequest)).get_error_code() == "InvalidTimeStamp.Expired"


def test_reused_nonce(classic: Classic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_signature_composer.helper, "get_uuid", lambda: "the-same")
    classic(asked(DescribeSourceServersRequest))
    assert classic.refusal(asked(DescribeSourceServersRequest)).get_error_code() == "SignatureNonceUsed"


@pytest.mark.filterwarnings(r"ignore:implementation_of_do_action\(\) method is deprecated:DeprecationWarning")
def test_xml(classic: Classic, world: World) -> None:
    world.source()
    request = asked(DescribeSourceServersRequest)
    request.set_accept_format("XML")
    with classic.client(request) as client:
        status, _, body = client.get_response(request)
    root = ElementTree.fromstring(body)
    assert (status, root.tag) == (200, "DescribeSourceServersResponse")
    assert root.findtext("SourceServers/SourceServer/Name") == "web1"


def test_common_request_with_parameters_in_the_body(classic: Classic, world: World) -> None:
    source = world.source()
    request = CommonRequest(domain="127.0.0.1", version="2019-06-01", action_name="CreateReplicationJob")
    request.add_body_params("SourceId", source.id)
    request.add_body_params("Name", "a_name")
    request.add_query_param("RegionId", "cn-hangzhou")
    assert classic(request)["JobId"].startswith("j-")
