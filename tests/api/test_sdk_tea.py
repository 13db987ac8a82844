"""The unmodified Tea SDK (alibabacloud-smc20190601) against a running server, with both signatures."""

import asyncio
import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    from alibabacloud_smc20190601 import models
    from alibabacloud_smc20190601.client import Client
    from alibabacloud_tea_openapi.models import Config
    from alibabacloud_tea_util.models import RuntimeOptions
    from Tea.exceptions import TeaException

from rehost.core.job import Event, JobState
from rehost.core.server import GIB
from rehost.store.keys import KeyStatus
from tests.api.world import Certificates, World
from tests.jobpaths import bring_to

V3, V1 = None, "v2"  # the SDK's names of the signatures


class Tea:
    """Calls by the SDK, over HTTP or over HTTPS with a private CA."""

    def __init__(
        self, world: World, port: int, certificates: Certificates | None, signature: str | None
    ) -> None:
        self.key, self.secret, self.port, self.signature = world.key.id, world.key.secret, port, signature
        self.certificates = certificates

    def client(self) -> Any:
        return Client(
            Config(
                access_key_id=self.key, access_key_secret=self.secret, endpoint=f"127.0.0.1:{self.port}",
                protocol="https" if self.certificates else "http", signature_algorithm=self.signature,
            )
        )  # fmt: skip

    def options(self) -> Any:
        return RuntimeOptions(ca=str(self.certificates.ca) if self.certificates else None)

    def __call__(self, method: str, request: Any) -> Any:
        return getattr(self.client(), f"{method}_with_options")(request, self.options()).body

    def refusal(self, method: str, request: Any) -> Any:
        with pytest.raises(TeaException) as raised:
            self(method, request)
        return raised.value


@pytest.fixture(params=[("http", V3), ("http", V1), ("https", V3), ("https", V1)], ids=str)
def tea(request: pytest.FixtureRequest, world: World, certificates: Certificates) -> Tea:
    scheme, signature = request.param
    tls = scheme == "https"
    port = request.getfixturevalue("tls_port" if tls else "port")
    return Tea(world, port, certificates if tls else None, signature)


def test_a_migrations_life(tea: Tea, world: World) -> None:
    source = world.source()
    servers = tea("describe_source_servers", models.DescribeSourceServersRequest(source_id=[source.id]))
    server = servers.source_servers.source_server[0]
    assert (server.state, server.system_disk_size, servers.total_count) == ("Available", 25, 1)
    assert [part.device for part in server.system_disk_parts.system_disk_part] == ["0_0", "0_1"]
    assert server.data_disks.data_disk[0].parts.part[0].path == "/home/data"
    part = models.CreateReplicationJobRequestDataDiskPart(device="1_0", size_bytes=29 * GIB, block=True)
    disk = models.CreateReplicationJobRequestDataDisk(index=1, size=40, part=[part])
    tags = [models.CreateReplicationJobRequestTag(key="k *()!'/:", value="")]
    job = tea(
        "create_replication_job",
        models.CreateReplicationJobRequest(
            region_id="cn-hangzhou", source_id=source.id, system_disk_size=80, name="迁移_1",
            data_disk=[disk], client_token="t", run_once=True, tag=tags, license_type="",
        ),
    ).job_id  # fmt: skip
    found = tea("describe_replication_jobs", models.DescribeReplicationJobsRequest(job_id=[job]))
    shown = found.replication_jobs.replication_job[0]
    assert (shown.name, shown.status, shown.system_disk_size) == ("迁移_1", "Ready", 80)
    assert shown.data_disks.data_disk[0].parts.part[0].size_bytes == 29 * GIB
    assert shown.tags.tag[0].key == "k *()!'/:"
    assert tea("start_replication_job", models.StartReplicationJobRequest(job_id=job)).request_id
    assert world.store.jobs.get(job).state.status == "Running"
    refused = tea.refusal("delete_replication_job", models.DeleteReplicationJobRequest(job_id=job))
    assert (refused.code, refused.statusCode) == ("ReplicationJob.InvalidStatus", 400)
    refused = tea.refusal(
        "delete_source_server", models.DeleteSourceServerRequest(source_id=source.id, force=True)
    )
    assert refused.code == "SourceServer.WithRunningReplicationJob"


def test_changing_and_tagging(tea: Tea, world: World) -> None:
    source = world.source().id
    change = models.ModifySourceServerAttributeRequest(source_id=source, name="web_迁移", description="d")
    assert tea("modify_source_server_attribute", change).request_id
    tags = [
        models.TagResourcesRequestTag(key="k *()!'/:", value="值"),
        models.TagResourcesRequestTag(key="l"),
    ]
    of = {"resource_type": "sourceserver", "resource_id": [source]}
    assert tea("tag_resources", models.TagResourcesRequest(tag=tags, **of)).request_id
    wanted = [models.ListTagResourcesRequestTag(key="k *()!'/:", value="值")]
    listed = tea(
        "list_tag_resources", models.ListTagResourcesRequest(resource_type="sourceserver", tag=wanted)
    )
    assert [
        (row.resource_id, row.resource_type, row.tag_key, row.tag_value)
        for row in (listed.tag_resources.tag_resource)
    ] == [
        (source, "ALIYUN::SMC::SOURCESERVER", "k *()!'/:", "值"),
        (source, "ALIYUN::SMC::SOURCESERVER", "l", ""),
    ]
    assert listed.next_token == ""
    having = [models.DescribeSourceServersRequestTag(key="l")]
    servers = tea(
        "describe_source_servers", models.DescribeSourceServersRequest(tag=having, related_job_type=[])
    ).source_servers.source_server
    assert (servers[0].name, servers[0].description) == ("web_迁移", "d")
    assert [tag.key for tag in servers[0].tags.tag] == ["k *()!'/:", "l"]
    assert servers[0].disks.system.parts.part[0].type == "ext4"
    assert tea("untag_resources", models.UntagResourcesRequest(all=True, **of)).request_id
    refused = tea.refusal("tag_resources", models.TagResourcesRequest(resource_id=[source], tag=tags))
    assert (refused.code, refused.statusCode) == ("MissingParameter.ResourceType", 400)


def test_tokens(tea: Tea) -> None:
    made = tea(
        "create_access_token",
        models.CreateAccessTokenRequest(name="first", count="5", time_to_live_in_days="7"),
    )
    assert len(made.access_token_code) == 32
    listed = tea("list_access_tokens", models.ListAccessTokensRequest(access_token_id=[made.access_token_id]))
    (token,) = listed.access_tokens.access_token
    assert (token.name, token.count, token.registered_count, token.status) == ("first", "5", "0", "activated")
    assert (token.time_to_live_in_days, listed.total_count) == ("7", 1)
    named = {"access_token_id": made.access_token_id}
    assert tea("disable_access_token", models.DisableAccessTokenRequest(**named)).request_id
    assert tea("delete_access_token", models.DeleteAccessTokenRequest(**named)).request_id
    refused = tea.refusal("delete_access_token", models.DeleteAccessTokenRequest(**named))
    assert (refused.code, refused.statusCode) == ("InvalidAccessTokenId.NotFound", 404)


def test_workgroups(tea: Tea, world: World) -> None:
    source = world.source().id
    tags = [models.CreateWorkgroupRequestTag(key="k", value="v")]
    request = models.CreateWorkgroupRequest(name="group", description="", tag=tags, client_token="t")
    group = tea("create_workgroup", request).workgroup_id
    assert tea("create_workgroup", request).workgroup_id == group
    members = {"workgroup_id": group, "source_id": [source]}
    assert tea("associate_source_servers", models.AssociateSourceServersRequest(**members)).request_id
    wanted = [models.DescribeWorkgroupsRequestTag(key="k")]
    found = tea("describe_workgroups", models.DescribeWorkgroupsRequest(workgroup_id=[group], tag=wanted))
    (shown,) = found.workgroups.workgroup
    assert (shown.name, shown.status, shown.tags.tag[0].value) == ("group", "NotStarted", "v")
    (warning,) = shown.warnings.warning
    assert (warning.warning_type, warning.source_ids.source_id) == ("UnRelated", [source])
    refused = tea.refusal("delete_workgroup", models.DeleteWorkgroupRequest(workgroup_id=group))
    assert refused.code == "SourceServer.Related"
    change = models.ModifyWorkgroupAttributeRequest(workgroup_id=group, name="other")
    assert tea("modify_workgroup_attribute", change).request_id
    assert tea("disassociate_source_servers", models.DisassociateSourceServersRequest(**members)).request_id
    assert tea("delete_workgroup", models.DeleteWorkgroupRequest(workgroup_id=group)).request_id


def test_migration_between_zones(tea: Tea) -> None:
    disk = models.CreateCrossZoneMigrationJobRequestDisk(disk_id="d-1", category="cloud_essd")
    request = models.CreateCrossZoneMigrationJobRequest(region_id="r", instance_id="i-1", disk=[disk])
    refused = tea.refusal("create_cross_zone_migration_job", request)
    assert (refused.code, refused.statusCode) == ("UnsupportedOperation.CrossZoneMigration", 400)


def test_deleting(tea: Tea, world: World) -> None:
    source = world.source()
    request = models.CreateReplicationJobRequest(region_id="local", source_id=source.id)
    job = tea("create_replication_job", request).job_id
    refused = tea.refusal("delete_source_server", models.DeleteSourceServerRequest(source_id=source.id))
    assert refused.code == "ReplicationJob.Related"
    assert tea("delete_replication_job", models.DeleteReplicationJobRequest(job_id=job)).request_id
    force = models.DeleteSourceServerRequest(source_id=source.id, force=True)
    assert tea("delete_source_server", force).request_id


def test_a_job_that_runs_again_is_changed_stopped_and_cut_over(tea: Tea, world: World) -> None:
    source = world.source()
    system = models.CreateReplicationJobRequestDisksSystem(size=50, lvm=False)
    part = models.CreateReplicationJobRequestDisksDataPart(path="/home/data", size_bytes=29 * GIB, block=True)
    data = models.CreateReplicationJobRequestDisksData(disk_id="/dev/sdb", size=40, part=[part])
    request = models.CreateReplicationJobRequest(
        region_id="local", source_id=source.id, run_once=False, frequency=12, max_number_of_image_to_keep=3,
        disks=models.CreateReplicationJobRequestDisks(system=system, data=[data]), job_type=0,
        resource_group_id="rg-1", launch_template_id="lt-1", launch_template_version="1", client_token="t",
    )  # fmt: skip
    job = tea("create_replication_job", request).job_id
    assert tea("create_replication_job", request).job_id == job
    disks = [models.ModifyReplicationJobAttributeRequestDataDisk(index=1, size=60)]
    change = models.ModifyReplicationJobAttributeRequest(
        job_id=job, name="changed", frequency=6, data_disk=disks
    )
    assert tea("modify_replication_job_attribute", change).request_id
    find = models.DescribeReplicationJobsRequest(job_id=[job], job_type=0, resource_group_id="rg-1")
    shown = tea("describe_replication_jobs", find).replication_jobs.replication_job[0]
    assert (shown.name, shown.frequency, shown.launch_template_id) == ("changed", 6, "lt-1")
    assert (shown.disks.system.size, shown.disks.data.data[0].size) == (50, 60)
    assert shown.disks.data.data[0].parts.part[0].path == "/home/data"
    refused = tea.refusal("stop_replication_job", models.StopReplicationJobRequest(job_id=job))
    assert (refused.code, refused.statusCode) == ("ReplicationJob.InvalidStatus", 400)
    bring_to(world.store, job, JobState.SYNCING)
    assert tea("stop_replication_job", models.StopReplicationJobRequest(job_id=job)).request_id
    cut_over = models.CutOverReplicationJobRequest(job_id=job, sync_data=True)
    assert tea.refusal("cut_over_replication_job", cut_over).code == "ReplicationJob.InvalidStatus"
    refused = tea.refusal("modify_replication_job_attribute", change)
    assert refused.code == "ReplicationJob.InvalidStatus"
    for event in (Event.START, Event.PREPARED, Event.SYNCED, Event.PROCESSED, Event.WAIT):
        world.store.jobs.apply(job, event, "test")
    assert tea("cut_over_replication_job", cut_over).request_id
    assert world.store.jobs.get(job).cut_over


def test_async(tea: Tea, world: World) -> None:
    source = world.source()
    request = models.DescribeSourceServersRequest(name=source.name)

    async def ask() -> Any:
        return await tea.client().describe_source_servers_with_options_async(request, tea.options())

    assert asyncio.run(ask()).body.source_servers.source_server[0].source_id == source.id


def test_refusals(tea: Tea) -> None:
    refused = tea.refusal("start_replication_job", models.StartReplicationJobRequest())
    assert (refused.code, refused.statusCode) == ("MissingJobId", 400)
    request = models.CreateReplicationJobRequest(region_id="local", source_id="s-1", system_disk_size=5)
    refused = tea.refusal("create_replication_job", request)
    assert refused.code == "InvalidSystemDiskSize.ValueNotSupported"
    assert "SystemDiskSize" in refused.message
    request = models.CreateReplicationJobRequest(region_id="local", source_id="s-1")
    refused = tea.refusal("create_replication_job", request)
    assert (refused.code, refused.statusCode) == ("InvalidSourceId.NotFound", 404)


def test_wrong_secret(tea: Tea) -> None:
    tea.secret = "wrong"
    refused = tea.refusal("describe_source_servers", models.DescribeSourceServersRequest())
    assert (refused.code, refused.statusCode) == ("SignatureDoesNotMatch", 400)


def test_unknown_and_disabled_key(tea: Tea, world: World) -> None:
    known, request = tea.key, models.DescribeSourceServersRequest()
    tea.key = "LTAIunknown"
    assert tea.refusal("describe_source_servers", request).code == "InvalidAccessKeyId.NotFound"
    tea.key = known
    world.store.keys.set_status(known, KeyStatus.INACTIVE)
    assert tea.refusal("describe_source_servers", request).code == "InvalidAccessKeyId.Inactive"


def test_expired_time(tea: Tea, world: World) -> None:
    world.clock.ahead = 3600
    refused = tea.refusal("describe_source_servers", models.DescribeSourceServersRequest())
    assert refused.code == "InvalidTimeStamp.Expired"
