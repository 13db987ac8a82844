"""ModifyReplicationJobAttribute: what can be changed in which status, and what the reference refuses."""

from itertools import product

import pytest

from rehost.api import times
from rehost.api.actions import job_changes
from rehost.core.job import JobState, Status
from rehost.core.server import GIB
from tests.api.signed import call
from tests.api.test_job_states import job_in
from tests.api.test_jobs import DAY, described, made
from tests.api.world import World

MODIFY = "ModifyReplicationJobAttribute"
IN_30_DAYS = "IN 30 DAYS"
VALUES = {
    "Name": "another_name",
    "Description": "Another description.",
    "TargetType": "image",
    "ScheduledStartTime": IN_30_DAYS,
    "ImageName": "golden",
    "InstanceId": "i-1",
    "SystemDiskSize": "60",
    "Frequency": "10",
    "MaxNumberOfImageToKeep": "5",
    "InstanceType": "ecs.c5.large",
    "LaunchTemplateId": "lt-bp16jovvln1cgaaq",
    "LaunchTemplateVersion": "Latest",
    "InstanceRamRole": "SMCAdmin",
    "ContainerNamespace": "testNamespace",
    "ContainerRepository": "testRepository",
    "ContainerTag": "CentOS:v1",
    "ValidTime": IN_30_DAYS,
    "NetMode": "0",
    "ReplicationParameters": '{"bandwidth_limit":7}',
    "VSwitchId": "vsw-1",
    "VpcId": "vpc-1",
}

# "Name and Description in the whole life; Frequency and MaxNumberOfImageToKeep before it is executed or while
# it is Waiting; all others before it is executed"; and ValidTime in the statuses that the reference lists.
NOT_OVER = {Status.READY, Status.RUNNING, Status.STOPPED, Status.IN_ERROR, Status.WAITING}
ALLOWED = {name: {Status.READY} for name in VALUES} | {
    "Name": set(Status) - {Status.DELETING},
    "Description": set(Status) - {Status.DELETING},
    "Frequency": {Status.READY, Status.WAITING},
    "MaxNumberOfImageToKeep": {Status.READY, Status.WAITING},
    "ValidTime": NOT_OVER,
}


def value_of(world: World, name: str) -> str:
    return times.write(world.clock() + 29 * DAY) if VALUES[name] == IN_30_DAYS else VALUES[name]


def test_every_parameter_of_the_table_is_tested() -> None:
    assert VALUES.keys() == job_changes.WHEN.keys() - {"SystemDiskPart", "DataDisk"}


@pytest.mark.parametrize("state", JobState)
def test_what_can_be_changed_in_which_state(world: World, state: JobState) -> None:
    job = job_in(world, state)
    for name, statuses in ALLOWED.items():
        before, value = described(world, job), value_of(world, name)
        status, reply = call(world, MODIFY, JobId=job, **{name: value})
        if state.status in statuses:
            assert status == 200, reply
            shown = described(world, job)[name]
            assert str(shown) == ("Image" if name == "TargetType" else value)
        else:
            assert (status, reply["Code"]) == (400, "ReplicationJob.InvalidStatus")
            assert name in reply["Message"]
            assert all(allowed in reply["Recommend"] for allowed in statuses)
            assert described(world, job) == before


@pytest.mark.parametrize(
    ("name", "state"), list(product(("SystemDiskPart", "DataDisk"), ("READY", "STOPPED")))
)
def test_disks_before_the_start_only(world: World, name: str, state: str) -> None:
    wishes = {
        "SystemDiskPart": {"SystemDiskPart__1__Device": "0_0", "SystemDiskPart__1__SizeBytes": str(24 * GIB)},
        "DataDisk": {"DataDisk__1__Index": "1", "DataDisk__1__Size": "77"},
    }
    job = job_in(world, JobState[state])
    assert call(world, MODIFY, JobId=job, **wishes[name])[0] == (200 if state == "READY" else 400)
    size = described(world, job)["DataDisks"]["DataDisk"][0]["Size"]
    assert (size == 77) is (name == "DataDisk" and state == "READY")


def test_what_is_not_given_stays(world: World) -> None:
    job = made(world, world.source().id, Name="first", SystemDiskSize="50", TargetType="Image", NetMode="0")
    before = described(world, job)
    assert call(world, MODIFY, JobId=job, Name="second")[0] == 200
    assert described(world, job) == {**before, "Name": "second"}
    part = {"SystemDiskPart__1__Device": "0_0", "SystemDiskPart__1__SizeBytes": str(24 * GIB)}
    assert call(world, MODIFY, JobId=job, **part)[0] == 200
    assert described(world, job)["SystemDiskSize"] == 50
    assert call(world, MODIFY, JobId=job)[0] == 200
    happened = call(world, "DescribeReplicationJobEvents", JobId=job)[1]["Events"]["Event"]
    assert [(event["Event"], event["Detail"]) for event in happened[1:]] == [
        ("MODIFY", "Name"),
        ("MODIFY", "SystemDiskPart"),
    ]


def test_empty_times(world: World) -> None:
    """An empty start: nobody but a person starts it. An empty end: it never expires."""
    later = times.write(world.clock() + DAY)
    job = made(world, world.source().id, ScheduledStartTime=later)
    assert call(world, MODIFY, JobId=job, ScheduledStartTime="", ValidTime="")[0] == 200
    shown = described(world, job)
    assert "ScheduledStartTime" not in shown
    assert "ValidTime" not in shown
    world.clock.ahead = 2 * DAY
    assert world.store.jobs.due() == ()


@pytest.mark.parametrize(
    ("age", "days", "good"),
    [(0, 7, True), (0, 6, False), (0, 91, False), (20, 90, True), (20, 21, True), (20, 19, False)],
)
def test_valid_time_counts_from_the_creation_and_is_not_past(
    world: World, age: int, days: int, good: bool
) -> None:
    job = made(world, world.source().id)
    created = times.parse(described(world, job)["CreationTime"])
    world.clock.ahead = age * DAY
    status, reply = call(world, MODIFY, JobId=job, ValidTime=times.write(created + days * DAY))
    assert status == (200 if good else 400)
    assert good or reply["Code"] == "InvalidValidTime.ValueNotSupported"


PAST = "2000-01-01T00:00:00Z"
PART = {"SystemDiskPart__1__Device": "0_0"}
REFUSALS = [
    ({"Name": "1abc"}, "InvalidName.Malformed", "'1abc'"),
    ({"Name": "taken"}, "ReplicationJobName.Duplicate", "taken"),
    ({"Description": "x"}, "InvalidDescription.Malformed", "2 to 128"),
    ({"TargetType": "Tarball"}, "InvalidTargetType.ValueNotSupported", "ContainerImage"),
    ({"TargetType": "ContainerImage"}, "UnsupportedTargetType", "ContainerImage"),
    ({"ScheduledStartTime": PAST}, "InvalidScheduledStartTime.ValueNotSupported", "within 30 days"),
    ({"ImageName": "a b"}, "InvalidImageName.Malformed", "'a b'"),
    ({"SystemDiskSize": "19"}, "InvalidSystemDiskSize.ValueNotSupported", "20 to 2048"),
    ({"SystemDiskSize": "24"}, "UnsupportedSystemDiskSize", "smaller"),
    ({"Frequency": "169"}, "InvalidFrequency.ValueNotSupported", "1 to 168"),
    ({"MaxNumberOfImageToKeep": "11"}, "InvalidMaxNumberOfImageToKeep.ValueNotSupported", "1 to 10"),
    ({"NetMode": "2"}, "MissingVSwitchId", "VSwitchId"),
    ({"NetMode": "1"}, "InvalidNetMode.ValueNotSupported", "0 or 2"),
    ({"LaunchTemplateVersion": "1"}, "MissingLaunchTemplateId", "LaunchTemplateId"),
    ({"ReplicationParameters": "{"}, "InvalidReplicationParameters.Malformed", "JSON"),
    (PART, "MissingSystemDiskPartSizeBytes", "SystemDiskPart.1.SizeBytes"),
    ({"DataDisk__1__Index": "2"}, "ReplicationJobDataDiskIndex.Invalid", "the source server has 1"),
    ({"DataDisk__1__Index": "1", "DataDisk__2__Index": "1"}, "DataDisk.DuplicateIndex", "DataDisk.2.Index"),
    ({"JobId": "j-none"}, "InvalidJobId.NotFound", "j-none"),
    ({"JobId": ""}, "MissingJobId", "JobId"),
]


@pytest.mark.parametrize(("parameters", "code", "named"), REFUSALS)
def test_refusals(world: World, parameters: dict[str, str], code: str, named: str) -> None:
    made(world, world.source(name="other").id, Name="taken")
    job = made(world, world.source().id, Name="mine")
    before = described(world, job)
    status, reply = call(world, MODIFY, **{"JobId": job, **parameters})
    assert reply["Code"] == code, reply
    assert named in reply["Message"] + reply["Recommend"]
    assert status == (404 if code.endswith("NotFound") else 400)
    assert described(world, job) == before


def test_net_mode_2_with_the_switch_that_the_job_has(world: World) -> None:
    job = made(world, world.source().id, VSwitchId="vsw-1")
    assert call(world, MODIFY, JobId=job, NetMode="2")[0] == 200
    assert described(world, job)["NetMode"] == 2


def test_its_own_name_is_not_taken(world: World) -> None:
    job = made(world, world.source().id, Name="mine")
    assert call(world, MODIFY, JobId=job, Name="mine", Description="Other words.")[0] == 200
