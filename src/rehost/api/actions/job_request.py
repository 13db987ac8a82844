"""A job as it is asked for: the parameters of CreateReplicationJob, the source and the time, as a JobSpec."""

from rehost.api import errors, times
from rehost.api.actions import target_disks
from rehost.api.identity import CLOCK_WINDOW
from rehost.api.times import DAY
from rehost.api.values import Values
from rehost.core.server import Inventory
from rehost.store.jobspec import JobSpec, Tag

SCHEDULE_WITHIN = 30 * DAY
VALID_FROM, VALID_TO, VALID_DEFAULT = 7 * DAY, 90 * DAY, 30 * DAY


def job_spec(values: Values, inventory: Inventory, now: float) -> JobSpec:
    """ApiError for what the source or the time does not allow."""
    return JobSpec(
        source_id=values.text("SourceId"),
        region=values.text("RegionId"),
        name=values.text("Name"),
        description=values.text("Description"),
        target_type=values.text("TargetType"),
        scheduled_start=_scheduled_start(values, now),
        valid_until=_valid_until(values, now),
        image_name=values.text("ImageName"),
        instance_id=values.text("InstanceId"),
        system_disk=target_disks.system_disk(inventory, values),
        data_disks=target_disks.data_disks(inventory, values),
        tags=tuple(Tag(tag.text("Key"), tag.text("Value")) for tag in values.structs("Tag")),
        vpc_id=values.text("VpcId"),
        vswitch_id=values.text("VSwitchId"),
        replication_parameters=values.text("ReplicationParameters"),
        net_mode=values.integer("NetMode"),
        run_once=bool(values.truth("RunOnce")),
        frequency=values.number("Frequency"),
        max_images=values.number("MaxNumberOfImageToKeep"),
        instance_type=values.text("InstanceType"),
        instance_ram_role=values.text("InstanceRamRole"),
        container_namespace=values.text("ContainerNamespace"),
        container_repository=values.text("ContainerRepository"),
        container_tag=values.text("ContainerTag"),
        license_type=values.text("LicenseType"),
        launch_template_id=values.text("LaunchTemplateId"),
        launch_template_version=values.text("LaunchTemplateVersion"),
        resource_group_id=values.text("ResourceGroupId"),
        job_type=values.integer("JobType"),
    )


def _scheduled_start(values: Values, now: float) -> float | None:
    start = values.time("ScheduledStartTime")
    if start is not None and not now < start <= now + SCHEDULE_WITHIN:
        allowed = f"later than {times.write(now)}, now, and within 30 days"
        raise errors.not_allowed("ScheduledStartTime", times.write(start), allowed)
    return start


def _valid_until(values: Values, now: float) -> float | None:
    """Absent: 30 days from now; sent but empty: never. A client's `now` may differ from this clock's."""
    if not values.given("ValidTime"):
        return now + VALID_DEFAULT
    end = values.time("ValidTime")
    earliest, latest = now + VALID_FROM, now + VALID_TO
    if end is not None and not earliest - CLOCK_WINDOW <= end <= latest + CLOCK_WINDOW:
        allowed = (
            f"{times.write(earliest)} to {times.write(latest)}, 7 to 90 days from now, or empty for never"
        )
        raise errors.not_allowed("ValidTime", times.write(end), allowed)
    return end
