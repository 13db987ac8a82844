"""A job as it is asked for: parameters of Create and Modify, the source and the time, as a JobSpec."""

from dataclasses import replace
from typing import Any

from rehost.api import errors, times
from rehost.api.actions import target_disks
from rehost.api.identity import CLOCK_WINDOW
from rehost.api.times import DAY
from rehost.api.values import Values
from rehost.core.server import Inventory
from rehost.store.jobspec import JobSpec
from rehost.store.transition import Job

SCHEDULE_WITHIN = 30 * DAY
VALID_FROM, VALID_TO, VALID_DEFAULT = 7 * DAY, 90 * DAY, 30 * DAY

AS_GIVEN = {
    "SourceId": "source_id",
    "RegionId": "region",
    "Name": "name",
    "Description": "description",
    "TargetType": "target_type",
    "ImageName": "image_name",
    "InstanceId": "instance_id",
    "VpcId": "vpc_id",
    "VSwitchId": "vswitch_id",
    "ReplicationParameters": "replication_parameters",
    "NetMode": "net_mode",
    "RunOnce": "run_once",
    "Frequency": "frequency",
    "MaxNumberOfImageToKeep": "max_images",
    "InstanceType": "instance_type",
    "InstanceRamRole": "instance_ram_role",
    "ContainerNamespace": "container_namespace",
    "ContainerRepository": "container_repository",
    "ContainerTag": "container_tag",
    "LicenseType": "license_type",
    "LaunchTemplateId": "launch_template_id",
    "LaunchTemplateVersion": "launch_template_version",
    "ResourceGroupId": "resource_group_id",
    "JobType": "job_type",
}
"""Parameters whose values are a job's as they are, and what they are called there."""


def job_spec(values: Values, inventory: Inventory, now: float) -> JobSpec:
    """Of a new job; ApiError for what the source or the time does not allow."""
    return JobSpec(
        **_as_given(values),
        scheduled_start=_scheduled_start(values, now),
        valid_until=_valid_until(values, now, now) if values.given("ValidTime") else now + VALID_DEFAULT,
        system_disk=target_disks.system_disk(inventory, values),
        data_disks=target_disks.data_disks(inventory, values),
    )


def changed_spec(values: Values, job: Job, inventory: Inventory, now: float) -> JobSpec:
    """Of a job that is there: what is not given stays; times and disks have to be allowed as of now."""
    changes = _as_given(values)
    if values.given("ScheduledStartTime"):
        changes["scheduled_start"] = _scheduled_start(values, now)
    if values.given("ValidTime"):
        changes["valid_until"] = _valid_until(values, job.created, now)
    if values.given("SystemDiskSize") or values.given("SystemDiskPart"):
        changes["system_disk"] = target_disks.system_disk(inventory, values, job.spec.system_disk.size)
    if values.given("DataDisk"):
        changes["data_disks"] = target_disks.data_disks(inventory, values)
    return replace(job.spec, **changes)


def _as_given(values: Values) -> dict[str, Any]:
    return {field: values.value(name) for name, field in AS_GIVEN.items() if values.given(name)}


def _scheduled_start(values: Values, now: float) -> float | None:
    """None: somebody starts it."""
    start = values.time("ScheduledStartTime")
    if start is not None and not now < start <= now + SCHEDULE_WITHIN:
        allowed = f"later than {times.write(now)}, now, and within 30 days"
        raise errors.not_allowed("ScheduledStartTime", times.write(start), allowed)
    return start


def _valid_until(values: Values, created: float, now: float) -> float | None:
    """Empty: for ever. A client's `now` may differ from this clock's, but nothing expires in the past."""
    end = values.time("ValidTime")
    earliest, latest = max(created + VALID_FROM, now), created + VALID_TO
    if end is not None and not max(earliest - CLOCK_WINDOW, now) <= end <= latest + CLOCK_WINDOW:
        allowed = (
            f"{times.write(earliest)} to {times.write(latest)}, 7 to 90 days from the job's creation,"
            " or empty for never"
        )
        raise errors.not_allowed("ValidTime", times.write(end), allowed)
    return end
