"""The replication job actions: what each rule of the reference allows and refuses."""

from dataclasses import replace
from typing import Any

import pytest

from rehost.api import times
from rehost.api.actions import ACTIONS
from rehost.core.agentapi import DiskProgress, Phase, Progress, Result, RunReport
from rehost.core.job import Event, JobState
from rehost.core.round import RoundKind, RoundReport
from rehost.core.server import GIB, Disk
from tests.api.signed import call
from tests.api.world import INVENTORY, MIB, World
from tests.jobpaths import bring_to

DAY = 86400
EVERY_12_HOURS = {"RunOnce": "false", "Frequency": "12"}
MOST_IMAGES = "MaxNumberOfImageToKeep"


def create(world: World, source: str, **parameters: str) -> tuple[int, dict[str, Any]]:
    return call(world, "CreateReplicationJob", RegionId="cn-hangzhou", SourceId=source, **parameters)


def made(world: World, source: str, **parameters: str) -> str:
    status, reply = create(world, source, **parameters)
    assert status == 200, reply
    return str(reply["JobId"])


def described(world: World, job: str) -> dict[str, Any]:
    reply = call(world, "DescribeReplicationJobs", JobId__1=job)[1]
    assert reply["TotalCount"] == 1
    return dict(reply["ReplicationJobs"]["ReplicationJob"][0])


def test_a_job_that_runs_again_and_again(world: World) -> None:
    source = world.source()
    job = described(world, made(world, source.id, **EVERY_12_HOURS, **{MOST_IMAGES: "3"}))
    assert (job["RunOnce"], job["Frequency"], job[MOST_IMAGES]) == (False, 12, 3)


def test_a_job_with_nothing_but_the_mandatory(world: World) -> None:
    source = world.source()
    job = described(world, made(world, source.id))
    assert (job["Status"], job["BusinessStatus"], job["Progress"]) == ("Ready", "", 0.0)
    assert job["SystemDiskSize"] == 25
    assert [disk["Size"] for disk in job["DataDisks"]["DataDisk"]] == [30]
    assert [part["Device"] for part in job["SystemDiskParts"]["SystemDiskPart"]] == ["0_0", "0_1"]
    assert (job["TargetType"], job["NetMode"], job["RunOnce"]) == ("Image", 0, True)
    age = times.parse(job["ValidTime"]) - times.parse(job["CreationTime"])
    assert abs(age - 30 * DAY) <= 1
    assert job["ReplicationJobRuns"] == {"ReplicationJobRun": []}


def test_small_disks_need_no_size(world: World) -> None:
    small = replace(INVENTORY, disks=(Disk(0, "/dev/sda", 3 * GIB + 1), Disk(1, "/dev/sdb", GIB // 2)))
    job = described(world, made(world, world.source(inventory=small).id))
    assert job["SystemDiskSize"] == 4
    assert job["DataDisks"]["DataDisk"][0]["Size"] == 1


def test_everything_that_is_asked_for_is_shown(world: World) -> None:
    asked = {
        "Name": "testMigrationTaskName",
        "Description": "This is my migration task.",
        "TargetType": "image",
        "ImageName": "testAliCloudImageName",
        "ReplicationParameters": '{"bandwidth_limit":0,"compress_level":1,"checksum":true}',
        "VpcId": "vpc-bp1vwnn14rqpyiczj",
        "VSwitchId": "vsw-bp1ddbrxdlrcbim46",
        "NetMode": "2",
        "InstanceType": "ecs.c6.large",
        "InstanceRamRole": "SMCAdmin",
        "LicenseType": "BYOL",
        "SystemDiskSize": "40",
        "ScheduledStartTime": times.write(world.clock() + DAY),
        "ValidTime": times.write(world.clock() + 8 * DAY),
    }
    job = described(world, made(world, world.source().id, **asked))
    shown = {name: str(job[name]) for name in asked}
    assert shown == {**asked, "TargetType": "Image"}


def test_disks_and_partitions(world: World) -> None:
    job = described(
        world,
        made(
            world, world.source().id, SystemDiskSize="100", DataDisk__1__Index="1", DataDisk__1__Size="50",
            DataDisk__1__Part__1__Device="1_0", DataDisk__1__Part__1__SizeBytes=str(29 * GIB),
            DataDisk__1__Part__1__Block="True", SystemDiskPart__1__Device="0_0",
            SystemDiskPart__1__SizeBytes=str(24 * GIB),
        ),
    )  # fmt: skip
    assert job["SystemDiskSize"] == 100
    assert job["DataDisks"]["DataDisk"] == [
        {"Index": 1, "Size": 50, "Parts": {"Part": [{"Device": "1_0", "SizeBytes": 29 * GIB, "Block": True}]}}
    ]


TWO_DATA_DISKS = replace(INVENTORY, disks=(*INVENTORY.disks, Disk(2, "/dev/sdc", 35 * GIB)))


@pytest.mark.parametrize(
    ("asked", "disks"),
    [
        ({}, [(1, 30), (2, 35)]),
        ({"DataDisk__2__Size": "40"}, [(2, 40)]),
        ({"DataDisk__1__Size": "40", "DataDisk__2__Size": "50"}, [(1, 40), (2, 50)]),
        ({"DataDisk__1__Index": "2", "DataDisk__5__Index": "1"}, [(1, 30), (2, 35)]),
        ({"DataDisk__1__Size": "", "DataDisk__1__Index": ""}, [(1, 30), (2, 35)]),
        ({"DataDisk__1__Size": "", "DataDisk__2__Size": "40"}, [(2, 40)]),
        ({"Disks__Data__2__Size": "40"}, [(2, 40)]),
        ({"Disks__Data__1__Size": "", "Disks__System__Size": "40"}, [(1, 30), (2, 35)]),
    ],
)
def test_a_data_disk_without_an_index_is_the_nth(
    world: World, asked: dict[str, str], disks: list[tuple[int, int]]
) -> None:
    """Also where numbers are left out: another disk than the one that was meant must not be copied alone."""
    job = described(world, made(world, world.source(inventory=TWO_DATA_DISKS).id, **asked))
    assert [(disk["Index"], disk["Size"]) for disk in job["DataDisks"]["DataDisk"]] == disks


def test_both_shapes_of_the_disks_are_the_same_job(world: World) -> None:
    by_device = described(
        world,
        made(
            world, world.source().id, SystemDiskSize="100", DataDisk__1__Index="1", DataDisk__1__Size="50",
            SystemDiskPart__1__Device="0_0", SystemDiskPart__1__SizeBytes=str(24 * GIB),
        ),
    )  # fmt: skip
    by_path = described(
        world,
        made(
            world, world.source().id, Disks__System__Size="100", Disks__Data__1__DiskId="/dev/sdb",
            Disks__Data__1__Size="50", Disks__System__Part__1__Path="/",
            Disks__System__Part__1__SizeBytes=str(24 * GIB), Disks__System__LVM="False",
        ),
    )  # fmt: skip
    for name in ("SystemDiskSize", "SystemDiskParts", "DataDisks", "Disks"):
        assert by_path[name] == by_device[name]
    assert by_path["Disks"] == {
        "System": {
            "DiskId": "/dev/sda", "LVM": False, "Size": 100,
            "Parts": {
                "Part": [
                    {"Block": True, "Path": "/", "SizeBytes": 24 * GIB},
                    {"Block": True, "Path": "/dev/sda2", "SizeBytes": 512 * MIB},
                ]
            },
        },
        "Data": {
            "Data": [
                {
                    "DiskId": "/dev/sdb", "LVM": False, "Size": 50,
                    "Parts": {"Part": [{"Block": True, "Path": "/home/data", "SizeBytes": 29 * GIB}]},
                }
            ]
        },
    }  # fmt: skip


def test_valid_time_empty_is_never(world: World) -> None:
    assert "ValidTime" not in described(world, made(world, world.source().id, ValidTime=""))


GIB_STR = str(GIB)
REFUSALS = [
    ({"RegionId": ""}, "MissingRegionId", "RegionId"),
    ({"SourceId": "s-none"}, "InvalidSourceId.NotFound", "s-none"),
    ({"SystemDiskSize": "19"}, "InvalidSystemDiskSize.ValueNotSupported", "20 to 2048"),
    ({"SystemDiskSize": "2049"}, "InvalidSystemDiskSize.ValueNotSupported", "20 to 2048"),
    ({"SystemDiskSize": "21"}, "InvalidSystemDiskSize.ValueNotSupported", "in use on /dev/sda"),
    ({"SystemDiskSize": "24"}, "UnsupportedSystemDiskSize", "SystemDiskSize='24'"),
    ({"DataDisk__1__Size": "20"}, "UnsupportedDataDiskSize", "DataDisk.1.Size"),
    ({"DataDisk__1__Size": "19"}, "InvalidDataDiskSize.ValueNotSupported", "20 to 32768"),
    ({"DataDisk__1__Index": "17"}, "InvalidDataDiskIndex.ValueNotSupported", "1 to 16"),
    ({"DataDisk__1__Index": "2"}, "ReplicationJobDataDiskIndex.Invalid", "the source server has 1"),
    ({"DataDisk__1__Index": "1", "DataDisk__2__Index": "1"}, "DataDisk.DuplicateIndex", "DataDisk.2.Index"),
    ({"SystemDiskPart__1__Device": "0_0"}, "MissingSystemDiskPartSizeBytes", "SystemDiskPart.1.SizeBytes"),
    ({"SystemDiskPart__1__SizeBytes": GIB_STR}, "MissingSystemDiskPartDevice", "SystemDiskPart.1.Device"),
    (
        {"SystemDiskPart__1__Device": "0_7", "SystemDiskPart__1__SizeBytes": GIB_STR},
        "InvalidSystemDiskPartDevice.ValueNotSupported", "Allowed: 0_0, 0_1",
    ),
    (
        {"SystemDiskPart__1__Device": "sda1", "SystemDiskPart__1__SizeBytes": GIB_STR},
        "InvalidSystemDiskPartDevice.Malformed", "0_1",
    ),
    (
        {"SystemDiskPart__1__Device": "0_0", "SystemDiskPart__1__SizeBytes": str(60 * GIB)},
        "InvalidSystemDiskPartSizeBytes.ValueNotSupported", "25 GiB",
    ),
    (
        {"SystemDiskPart__1__Device": "0_0", "SystemDiskPart__1__SizeBytes": str(22 * GIB)},
        "UnsupportedSystemDiskPartSizeBytes", "partitions keep their size",
    ),
    (
        {
            "SystemDiskPart__1__Device": "0_0", "SystemDiskPart__1__SizeBytes": str(24 * GIB),
            "SystemDiskPart__1__Block": "false",
        },
        "UnsupportedSystemDiskPartBlock", "Block",
    ),
    ({"Name": "1abc"}, "InvalidName.Malformed", "'1abc'"),
    ({"Name": "https://x"}, "InvalidName.Malformed", "http"),
    ({"Description": "x"}, "InvalidDescription.Malformed", "2 to 128"),
    ({"ImageName": "a b"}, "InvalidImageName.Malformed", "'a b'"),
    ({"TargetType": "Tarball"}, "InvalidTargetType.ValueNotSupported", "Image, ContainerImage, Instance"),
    ({"TargetType": "ContainerImage"}, "UnsupportedTargetType", "ContainerImage"),
    ({"TargetType": "Instance"}, "MissingInstanceId", "InstanceId"),
    ({"TargetType": "targetinstance", "InstanceId": "i-1"}, "UnsupportedTargetType", "'Instance'"),
    ({"NetMode": "2"}, "MissingVSwitchId", "VSwitchId"),
    ({"NetMode": "1"}, "InvalidNetMode.ValueNotSupported", "0 or 2"),
    ({"RunOnce": "false"}, "MissingFrequency", "Frequency"),
    (EVERY_12_HOURS, f"Missing{MOST_IMAGES}", MOST_IMAGES),
    ({"RunOnce": "false", "Frequency": "169"}, "InvalidFrequency.ValueNotSupported", "1 to 168"),
    ({**EVERY_12_HOURS, MOST_IMAGES: "11"}, f"Invalid{MOST_IMAGES}.ValueNotSupported", "1 to 10"),
    ({"MaxNumberOfImageToKeep": "11"}, "InvalidMaxNumberOfImageToKeep.ValueNotSupported", "1 to 10"),
    ({"LicenseType": "PAID"}, "InvalidLicenseType.ValueNotSupported", "BYOL"),
    ({"Disks": "x"}, "InvalidParameter.Format", "Disks.Member"),
    ({"Disks__System": "x"}, "InvalidParameter.Format", "Disks.System.Member"),
    ({"Disks__System__Size": "19"}, "InvalidDisksSystemSize.ValueNotSupported", "20 to 2048"),
    ({"Disks__System__Size": "24"}, "UnsupportedDisksSystemSize", "cannot make a disk smaller"),
    ({"Disks__System__LVM": "true"}, "UnsupportedDisksSystemLVM", "/dev/sda has no logical volumes"),
    ({"Disks__Data__1__DiskId": "/dev/sdx"}, "ReplicationJobDataDiskIndex.Invalid", "1 (/dev/sdb)"),
    (
        {"Disks__Data__1__DiskId": "/dev/sdb", "Disks__Data__2__DiskId": "/dev/sdb"},
        "DataDisk.DuplicateIndex", "Disks.Data.2.DiskId",
    ),
    ({"Disks__System__Part__1__Path": "/"}, "MissingDisksSystemPartSizeBytes", "go together"),
    ({"Disks__Data__1__Part__1__SizeBytes": "1"}, "MissingDisksDataPartPath", "Disks.Data.1.Part.1.Path"),
    (
        {"Disks__System__Part__1__Path": "/srv", "Disks__System__Part__1__SizeBytes": "1"},
        "InvalidDisksSystemPartPath.ValueNotSupported", "Allowed: /, /dev/sda2",
    ),
    (
        {
            "Disks__System__Part__1__Path": "/", "Disks__System__Part__1__SizeBytes": str(24 * GIB),
            "Disks__System__Part__2__Path": "/", "Disks__System__Part__2__SizeBytes": str(24 * GIB),
        },
        "InvalidDisksSystemPartPath.ValueNotSupported", "each partition once",
    ),
    ({"Disks__System__Size": "40", "SystemDiskSize": "40"}, "InvalidParameter.Conflict", "SystemDiskSize"),
    ({"LaunchTemplateVersion": "1"}, "MissingLaunchTemplateId", "LaunchTemplateVersion"),
    ({"JobType": "1"}, "UnsupportedJobType", "JobType"),
    ({"ClientToken": "x" * 65}, "InvalidClientToken.Malformed", "64 ASCII"),
    ({"ClientToken": "é"}, "InvalidClientToken.Malformed", "ASCII"),
    ({"Tag__1__Value": "x"}, "MissingTagKey", "Tag.1.Key"),
    ({"Tag__1__Key": "acs:x"}, "InvalidTagKey.Malformed", "acs:"),
    ({"Tag__21__Key": "x"}, "NumberExceed.Tags", "cannot exceed 20"),
    ({"Tag__1__Key": "x", "Tag__2__Key": "x"}, "Duplicate.TagKey", "'x'"),
    ({"ReplicationParameters": "{"}, "InvalidReplicationParameters.Malformed", "JSON"),
    ({"ReplicationParameters": '{"fast":1}'}, "InvalidReplicationParameters.Malformed", "'fast'"),
    ({"ReplicationParameters": '{"compress_level":11}'}, "InvalidReplicationParameters.Malformed", "0 to 10"),
    ({"ScheduledStartTime": "tomorrow"}, "InvalidScheduledStartTime.Malformed", "YYYY"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "code", "named"), REFUSALS)
def test_refusals(world: World, parameters: dict[str, str], code: str, named: str) -> None:
    source = world.source()
    given = {"RegionId": "cn-hangzhou", "SourceId": source.id, **parameters}
    status, reply = call(world, "CreateReplicationJob", **given)
    assert reply["Code"] == code, reply
    assert named in reply["Message"] + reply["Recommend"]
    assert status == (404 if code.endswith("NotFound") else 400)
    assert call(world, "DescribeReplicationJobs")[1]["TotalCount"] == 0


@pytest.mark.parametrize(
    ("name", "days", "good"),
    [
        ("ScheduledStartTime", -1, False), ("ScheduledStartTime", 31, False),
        ("ScheduledStartTime", 29, True),
        ("ValidTime", 6, False), ("ValidTime", 91, False), ("ValidTime", 7, True), ("ValidTime", 90, True),
    ],
)  # fmt: skip
def test_times_relative_to_now(world: World, name: str, days: int, good: bool) -> None:
    source = world.source()
    status, reply = create(world, source.id, **{name: times.write(world.clock() + days * DAY)})
    assert status == (200 if good else 400)
    assert good or reply["Code"] == f"Invalid{name}.ValueNotSupported"


def test_only_available_sources_take_a_job(world: World) -> None:
    source = world.source()
    world.clock.ahead = 3600
    status, reply = create(world, source.id)
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")
    assert "Unavailable" in reply["Message"]


def test_one_unfinished_job_per_source(world: World) -> None:
    source = world.source()
    first = made(world, source.id)
    status, reply = create(world, source.id)
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")
    assert first in reply["Message"]


def test_names_are_unique_in_the_account(world: World) -> None:
    made(world, world.source().id, Name="same")
    status, reply = create(world, world.source(name="web2").id, Name="same")
    assert (status, reply["Code"]) == (400, "ReplicationJobName.Duplicate")
    other = world.store.keys.create("2")
    source = world.source(account="2")
    assert (
        call(world, "CreateReplicationJob", other, RegionId="r-1", SourceId=source.id, Name="same")[0] == 200
    )


def test_quota(world: World) -> None:
    world.services = replace(world.services, job_quota=1)
    made(world, world.source().id)
    status, reply = create(world, world.source(name="web2").id)
    assert (status, reply["Code"]) == (400, "QuotaExceeded.ReplicationJob")


def test_client_token(world: World) -> None:
    source = world.source()
    first = made(world, source.id, ClientToken="t-1", Name="same")
    world.clock.ahead = 5
    assert made(world, source.id, ClientToken="t-1", Name="same") == first
    status, reply = create(world, source.id, ClientToken="t-1", Name="other")
    assert (status, reply["Code"]) == (400, "IdempotentParameterMismatch")
    assert first in reply["Message"]


def test_a_repeated_request_is_answered_whatever_has_become_of_the_job(world: World) -> None:
    """Its source is in use, its start is past, its name is another one: the request is still the same."""
    source, start = world.source(), times.write(world.clock() + 60)
    request = {"ClientToken": "t-1", "Name": "same", "ScheduledStartTime": start}
    first = made(world, source.id, **request)
    call(world, "StartReplicationJob", JobId=first)
    world.clock.ahead = 120
    assert made(world, source.id, **request) == first
    status, reply = create(world, source.id, **{**request, "DataDisk__1__Index": "1"})
    assert (status, reply["Code"]) == (400, "IdempotentParameterMismatch")


def test_a_run_tells_what_it_copied_and_what_it_made(world: World) -> None:
    source = world.source()
    job = made(world, source.id)
    call(world, "StartReplicationJob", JobId=job)
    (run,) = described(world, job)["ReplicationJobRuns"]["ReplicationJobRun"]
    assert "Roots" not in run
    (started,) = world.store.runs.of_jobs([job])[job]
    final = RoundReport(RoundKind.FINAL, 1, 9, 8, 7, 1.5)
    report = RunReport(("ab" * 32, "cd" * 32), (final,), 3 << 32, 2 << 32, 0, 0.25, 1.0, 2.0)
    assert world.store.runs.record_result(source.id, Result(started.id, started.generation, report))
    (run,) = described(world, job)["ReplicationJobRuns"]["ReplicationJobRun"]
    assert run["Roots"] == "ab" * 32 + "," + "cd" * 32
    assert (run["Rounds"], run["Read"], run["Sent"], run["FreezeSeconds"]) == (1, 3 << 32, 2 << 32, 0.25)
    assert not {"Conversion", "BootCheck", "Error"} & run.keys()
    world.store.runs.note_image(started.id, "m-1", '{"files":[]}', '{"verdict":"ok"}')
    world.store.runs.note_error(started.id, "X: no room")
    (run,) = described(world, job)["ReplicationJobRuns"]["ReplicationJobRun"]
    assert (run["Conversion"], run["BootCheck"]) == ('{"files":[]}', '{"verdict":"ok"}')
    assert run["Error"] == "X: no room"


def test_start(world: World) -> None:
    source = world.source()
    job = made(world, source.id)
    assert call(world, "StartReplicationJob", JobId=job)[0] == 200
    shown = described(world, job)
    assert (shown["Status"], shown["BusinessStatus"]) == ("Running", "Preparing")
    assert shown["ReplicationJobRuns"]["ReplicationJobRun"][0]["Type"] == "Manual"
    assert shown["StartTime"] == shown["ReplicationJobRuns"]["ReplicationJobRun"][0]["StartTime"]
    assert len(world.workflows.started) == 1
    status, reply = call(world, "StartReplicationJob", JobId=job)
    assert (status, reply["Code"]) == (400, "ReplicationJob.InvalidStatus")
    assert reply["Message"].startswith("The specified replication job status is invalid.")
    server = call(world, "DescribeSourceServers", SourceId__1=source.id)[1]["SourceServers"]["SourceServer"][
        0
    ]
    assert (server["State"], server["JobId"]) == ("InUse", job)


def test_a_failed_job_can_be_started_again_as_the_next_generation(world: World) -> None:
    job = made(world, world.source().id)
    call(world, "StartReplicationJob", JobId=job)
    world.store.jobs.apply(
        job, Event.FAIL, "test", error_code="TargetDisk.Full", status_info='{"advice":"x"}'
    )
    shown = described(world, job)
    assert (shown["Status"], shown["ErrorCode"]) == ("InError", "TargetDisk.Full")
    assert call(world, "StartReplicationJob", JobId=job)[0] == 200
    assert [generation for _, generation in world.workflows.started] == ["1", "2"]
    assert described(world, job)["ErrorCode"] == ""


def test_a_job_does_not_start_while_its_source_is_away(world: World) -> None:
    job = made(world, world.source().id)
    world.clock.ahead = 3600
    status, reply = call(world, "StartReplicationJob", JobId=job)
    assert (status, reply["Code"]) == (400, "SourceServerState.Invalid")


def test_delete(world: World) -> None:
    job = made(world, world.source().id)
    assert call(world, "DeleteReplicationJob", JobId=job)[0] == 200
    assert described(world, job)["Status"] == "Deleting"
    world.store.jobs.remove(job)
    assert call(world, "DescribeReplicationJobs", JobId__1=job)[1]["TotalCount"] == 0
    status, reply = call(world, "DeleteReplicationJob", JobId=job)
    assert (status, reply["Code"]) == (404, "InvalidJobId.NotFound")


def test_a_running_job_is_not_deleted(world: World) -> None:
    job = made(world, world.source().id)
    call(world, "StartReplicationJob", JobId=job)
    status, reply = call(world, "DeleteReplicationJob", JobId=job)
    assert (status, reply["Code"]) == (400, "ReplicationJob.InvalidStatus")


OF_A_JOB = [
    name
    for name, action in ACTIONS.items()
    if any(p.name == "JobId" and p.required for p in action.parameters)
]


@pytest.mark.parametrize("action", OF_A_JOB)
def test_other_accounts_jobs_do_not_exist(world: World, action: str) -> None:
    job = made(world, world.source().id)
    other = world.store.keys.create("2")
    status, reply = call(world, action, other, JobId=job)
    assert (status, reply["Code"]) == (404, "InvalidJobId.NotFound")
    assert call(world, "DescribeReplicationJobs", other)[1]["TotalCount"] == 0
    status, reply = call(world, action)
    assert (status, reply["Code"]) == (400, "MissingJobId")


def test_filters_and_paging(world: World) -> None:
    jobs = [made(world, world.source(name=f"w{i}").id, Name=f"job{i}") for i in range(3)]
    call(world, "StartReplicationJob", JobId=jobs[0])

    def found(**filters: str) -> set[str]:
        reply = call(world, "DescribeReplicationJobs", **filters)[1]
        return {job["JobId"] for job in reply["ReplicationJobs"]["ReplicationJob"]}

    assert found() == set(jobs)
    assert found(Name="job1") == {jobs[1]}
    assert found(Status="running") == {jobs[0]}
    assert found(BusinessStatus="Preparing", RegionId="cn-hangzhou") == {jobs[0]}
    assert found(RegionId="cn-shanghai") == set()
    assert found(JobId__1=jobs[0], JobId__2=jobs[2]) == {jobs[0], jobs[2]}
    assert found(JobId=jobs[0], Status="") == {jobs[0]}
    assert found(JobId__1=jobs[0], Name="job1") == set()
    pages = [found(PageNumber=str(n), PageSize="2") for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [2, 1, 0]
    assert pages[0] | pages[1] == set(jobs)
    refused = call(world, "DescribeReplicationJobs", Tag__1__Value="v")[1]
    assert refused["Code"] == "InvalidParameter.TagValue"
    reply = call(world, "DescribeReplicationJobs", PageNumber="3", PageSize="2")[1]
    assert (reply["PageNumber"], reply["PageSize"], reply["TotalCount"]) == (3, 2, 3)
    assert (
        call(world, "DescribeReplicationJobs", PageSize="51")[1]["Code"]
        == "InvalidPageSize.ValueNotSupported"
    )
    assert (
        call(world, "DescribeReplicationJobs", Status="Odd")[1]["Code"] == "InvalidStatus.ValueNotSupported"
    )


def test_progress_of_the_agent_is_the_jobs(world: World) -> None:
    source = world.source()
    job = made(world, source.id)
    call(world, "StartReplicationJob", JobId=job)
    run, generation = world.workflows.started[0]
    world.store.jobs.apply(job, Event.PREPARED, "test")
    disk = DiskProgress(0, 100, 50, 50, 40, 50, 10.0, 5.0)
    told = Progress(run, int(generation), Phase.COPYING, 1, RoundKind.BASELINE, (disk,))
    world.store.copies.record({source.id: told})
    first = described(world, job)
    assert 0 < first["Progress"] < 80
    assert '"done":50' in first["StatusInfo"]
    world.store.copies.record({source.id: replace(told, disks=(replace(disk, done=10),))})
    assert described(world, job)["Progress"] == first["Progress"]


def test_the_image_name_is_that_of_the_image_once_there_is_one(world: World) -> None:
    """It is another one than was asked for where that was taken, and no other action tells of images."""
    earlier = made(world, world.source(name="a").id, ImageName="golden")
    world.store.images.reserve(world.store.jobs.get(earlier), "r-0")
    job = made(world, world.source(name="b").id, ImageName="golden")
    bring_to(world.store, job, JobState.PROCESSING)
    assert described(world, job)["ImageName"] == "golden"
    record = world.store.jobs.get(job)
    image = world.store.images.reserve(record, record.current_run)
    world.store.runs.note_image(record.current_run, image.id)
    world.store.jobs.apply(job, Event.PROCESSED, "test", image_id=image.id)
    assert described(world, job)["ImageName"] == f"golden_{job}"
    world.store.images.remove(image.id)
    assert described(world, job)["ImageName"] == "golden"
