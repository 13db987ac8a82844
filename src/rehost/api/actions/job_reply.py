"""A replication job as DescribeReplicationJobs shows it."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from rehost.api import times
from rehost.api.actions import tag_parameters
from rehost.api.spec import Field, Fields, Kind, Nested, Wrapped
from rehost.core.job import OVER
from rehost.store.jobspec import DiskSpec, PartSpec
from rehost.store.runs import Run
from rehost.store.tags import Tag
from rehost.store.transition import Job


def reply(
    job: Job, runs: Iterable[Run], images: Mapping[str, str], tags: tuple[Tag, ...]
) -> dict[str, object]:
    """`images`: names by ids, of those that are there still."""
    made = {"ImageName": images[job.image_id]} if job.image_id in images else {}
    return {
        **_asked(job),
        **_become(job),
        **made,
        "ReplicationJobRuns": {"ReplicationJobRun": [_run(run, images) for run in runs]},
        "Tags": tag_parameters.reply(tags),
    }


def _become(job: Job) -> dict[str, object]:
    """What has become of it. A job that is over has an end, and no transition instance any more."""
    over = job.state.status in OVER
    return {
        "BusinessStatus": job.state.business.value,
        "CreationTime": times.write(job.created),
        "EndTime": times.write_known(job.ended) if over else None,
        "ErrorCode": job.error_code,
        "ImageId": job.image_id or None,
        "JobId": job.id,
        "Progress": round(job.progress, 2),
        "StartTime": times.write_known(job.started),
        "Status": job.state.status.value,
        "StatusInfo": job.status_info or None,
        "TransitionInstanceId": (not over and job.transition_instance_id) or None,
    }


def _asked(job: Job) -> dict[str, object]:
    """What was asked for; what was not given is left out."""
    spec = job.spec
    return {
        "ContainerNamespace": spec.container_namespace or None,
        "ContainerRepository": spec.container_repository or None,
        "ContainerTag": spec.container_tag or None,
        "Description": spec.description or None,
        "ImageName": spec.image_name or None,
        "InstanceId": spec.instance_id or None,
        "InstanceRamRole": spec.instance_ram_role or None,
        "InstanceType": spec.instance_type or None,
        "LaunchTemplateId": spec.launch_template_id or None,
        "LaunchTemplateVersion": spec.launch_template_version or None,
        "LicenseType": spec.license_type or None,
        "Name": spec.name or None,
        "RegionId": spec.region or None,
        "ReplicationParameters": spec.replication_parameters or None,
        "ResourceGroupId": spec.resource_group_id or None,
        "SourceId": spec.source_id or None,
        "TargetType": spec.target_type or None,
        "VSwitchId": spec.vswitch_id or None,
        "VpcId": spec.vpc_id or None,
        "DataDisks": {
            "DataDisk": [
                {"Index": disk.index, "Parts": {"Part": _parts(disk.parts)}, "Size": disk.size}
                for disk in spec.data_disks
            ]
        },
        "Disks": {
            "System": _by_path(spec.system_disk),
            "Data": {"Data": [_by_path(disk) for disk in spec.data_disks]},
        },
        "Frequency": spec.frequency,
        "JobType": spec.job_type,
        "MaxNumberOfImageToKeep": spec.max_images,
        "NetMode": spec.net_mode,
        "RunOnce": spec.run_once,
        "ScheduledStartTime": times.write_known(spec.scheduled_start),
        "SystemDiskParts": {"SystemDiskPart": _parts(spec.system_disk.parts)},
        "SystemDiskSize": spec.system_disk.size,
        "ValidTime": times.write_known(spec.valid_until),
    }


def _parts(parts: Iterable[PartSpec]) -> list[dict[str, object]]:
    return [{"Block": part.block, "Device": part.device, "SizeBytes": part.size} for part in parts]


def _by_path(disk: DiskSpec) -> dict[str, object]:
    parts = [{"Block": part.block, "Path": part.path, "SizeBytes": part.size} for part in disk.parts]
    return {"DiskId": disk.path, "LVM": disk.lvm, "Parts": {"Part": parts}, "Size": disk.size}


def _run(run: Run, images: Collection[str]) -> dict[str, object]:
    gone = run.image_id and run.image_id not in images
    return {
        **_copy(run),
        "BootCheck": run.boot_check or None,
        "Conversion": run.conversion or None,
        "EndTime": times.write_known(run.ended),
        "Error": run.error or None,
        "ImageDeleted": True if gone else None,
        "ImageId": run.image_id or None,
        "StartTime": times.write(run.started),
        "Type": run.type.value,
    }


def _copy(run: Run) -> dict[str, object]:
    """What its copy took; nothing before that has ended well."""
    report = run.result.report if run.result is not None else None
    if report is None:
        return {}
    return {
        "FreezeSeconds": report.freeze_seconds,
        "Read": report.read,
        "Roots": ",".join(report.roots) or None,
        "Rounds": len(report.rounds),
        "Sent": report.sent,
    }


_own = partial(Field, addition=True)
_PART = (
    Field("Block", Kind.BOOLEAN, "Copied block by block."),
    Field("Device", Kind.STRING, "The source's partition."),
    Field("SizeBytes", Kind.LONG, "Bytes."),
)
_DISK = (
    Field("DiskId", Kind.STRING, "The source's device."),
    Field("LVM", Kind.BOOLEAN, "It has logical volumes."),
    Wrapped(
        "Parts",
        "Part",
        (
            Field("Block", Kind.BOOLEAN, "Copied block by block."),
            Field("Path", Kind.STRING, "Where it is mounted on the source, else the source's device."),
            Field("SizeBytes", Kind.LONG, "Bytes."),
        ),
    ),
    Field("Size", Kind.INTEGER, "GiB."),
)
FIELDS: Fields = (
    Field("BusinessStatus", Kind.STRING, "Preparing, Syncing, Processing or Cleaning; empty: none of them."),
    Field("ContainerNamespace", Kind.STRING, "As it was asked for."),
    Field("ContainerRepository", Kind.STRING, "As it was asked for."),
    Field("ContainerTag", Kind.STRING, "As it was asked for."),
    Field("CreationTime", Kind.TIME, "When it was created."),
    Wrapped(
        "DataDisks",
        "DataDisk",
        (
            Field("Index", Kind.INTEGER, "From 1."),
            Wrapped("Parts", "Part", _PART),
            Field("Size", Kind.INTEGER, "GiB."),
        ),
    ),
    Field("Description", Kind.STRING, "Its description."),
    Nested("Disks", (Nested("System", _DISK), Wrapped("Data", "Data", _DISK))),
    Field("EndTime", Kind.TIME, "When it was over; absent: it is not."),
    Field("ErrorCode", Kind.STRING, "Why it is InError."),
    Field("Frequency", Kind.INTEGER, "Hours."),
    Field("ImageId", Kind.STRING, "The newest image."),
    Field("ImageName", Kind.STRING, "The newest image's; without one, as it was asked for."),
    Field("InstanceId", Kind.STRING, "The target instance, as it was asked for."),
    Field("InstanceRamRole", Kind.STRING, "As it was asked for."),
    Field("InstanceType", Kind.STRING, "As it was asked for."),
    Field("JobId", Kind.STRING, "Its id."),
    Field("JobType", Kind.INTEGER, "0: the migration of a server."),
    Field("LaunchTemplateId", Kind.STRING, "As it was asked for."),
    Field("LaunchTemplateVersion", Kind.STRING, "As it was asked for."),
    Field("LicenseType", Kind.STRING, "As it was asked for."),
    Field("MaxNumberOfImageToKeep", Kind.INTEGER, "Images that are kept."),
    Field("Name", Kind.STRING, "Its name."),
    Field("NetMode", Kind.INTEGER, "0: public network, 2: private network."),
    Field("Progress", Kind.FLOAT, "Per cent of the present run."),
    Field("RegionId", Kind.STRING, "The region to migrate to."),
    Wrapped(
        "ReplicationJobRuns",
        "ReplicationJobRun",
        (
            _own("BootCheck", Kind.STRING, "JSON: how its image booted; absent before that."),
            _own("Conversion", Kind.STRING, "JSON: what was changed in its image, and why."),
            Field("EndTime", Kind.TIME, "When the run ended; absent: it has not."),
            _own("Error", Kind.STRING, "Why it failed; absent: it did not, or was started again."),
            _own("FreezeSeconds", Kind.FLOAT, "Seconds for which the source's file systems were frozen."),
            _own("ImageDeleted", Kind.BOOLEAN, "Its image is gone; absent while it is there."),
            Field("ImageId", Kind.STRING, "Its image."),
            _own("Read", Kind.LONG, "Bytes that were read from the source's disks."),
            _own("Roots", Kind.STRING, "Hex, by comma: of each disk, what `rehost verify` compares with."),
            _own("Rounds", Kind.INTEGER, "Rounds of the copy, the last one included."),
            _own("Sent", Kind.LONG, "Bytes that were sent."),
            Field("StartTime", Kind.TIME, "When the run began."),
            Field("Type", Kind.STRING, "Manual or Schedule."),
        ),
    ),
    Field("ReplicationParameters", Kind.STRING, "As they were asked for, JSON."),
    Field("ResourceGroupId", Kind.STRING, "Its resource group."),
    Field("RunOnce", Kind.BOOLEAN, "One run, or one every Frequency hours."),
    Field("ScheduledStartTime", Kind.TIME, "When it starts; absent: when somebody starts it."),
    Field("SourceId", Kind.STRING, "The source server."),
    Field("StartTime", Kind.TIME, "When its newest run was started; absent: none was."),
    Field("Status", Kind.STRING, "Ready, Running, Stopped, Waiting, InError, Finished, Expired or Deleting."),
    Field(
        "StatusInfo", Kind.STRING, "JSON: phase, round, the disks' figures; the copy; or error and advice."
    ),
    Wrapped("SystemDiskParts", "SystemDiskPart", _PART),
    Field("SystemDiskSize", Kind.INTEGER, "GiB."),
    tag_parameters.REPLY,
    Field("TargetType", Kind.STRING, "What it makes."),
    Field("TransitionInstanceId", Kind.STRING, "Where its data goes; absent: nowhere yet, or it is over."),
    Field("VSwitchId", Kind.STRING, "As it was asked for."),
    Field("ValidTime", Kind.TIME, "When it expires; absent: never."),
    Field("VpcId", Kind.STRING, "As it was asked for."),
    Field("WorkgroupId", Kind.STRING, "Of its source server; absent: that one is gone. Empty: in none."),
)
