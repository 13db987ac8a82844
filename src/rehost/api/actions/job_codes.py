"""The error codes of the actions on jobs, besides those of their parameters' forms; see api/codes.py."""

_PARTS_BY_DEVICE = ("SystemDiskPart", "DataDiskPart")
_PARTS_BY_PATH = ("DisksSystemPart", "DisksDataPart")

SPEC = (
    "MissingVSwitchId",
    "MissingInstanceId",
    "MissingLaunchTemplateId",
    "InvalidReplicationParameters.Malformed",
    "InvalidScheduledStartTime.ValueNotSupported",
    "InvalidValidTime.ValueNotSupported",
    "InvalidInstanceRamRole.NotFound",
    "UnsupportedTargetType",
    "ReplicationJobName.Duplicate",
    "ReplicationJobDataDiskIndex.Invalid",
    "DataDisk.DuplicateIndex",
    "UnsupportedSystemDiskSize",
    "UnsupportedDataDiskSize",
    *(f"Missing{part}{member}" for part in _PARTS_BY_DEVICE for member in ("Device", "SizeBytes")),
    *(
        f"Invalid{part}{member}.ValueNotSupported"
        for part in _PARTS_BY_DEVICE
        for member in ("Device", "SizeBytes")
    ),
    *(f"Unsupported{part}{member}" for part in _PARTS_BY_DEVICE for member in ("Block", "SizeBytes")),
)
"""Of what a job is to be, held against the source server, other jobs and the time."""

TREE = (
    "InvalidParameter.Conflict",
    *(f"UnsupportedDisks{disk}{member}" for disk in ("System", "Data") for member in ("Size", "LVM")),
    *(f"Missing{part}{member}" for part in _PARTS_BY_PATH for member in ("Path", "SizeBytes")),
    *(
        f"Invalid{part}{member}.ValueNotSupported"
        for part in _PARTS_BY_PATH
        for member in ("Path", "SizeBytes")
    ),
    *(f"Unsupported{part}{member}" for part in _PARTS_BY_PATH for member in ("Block", "SizeBytes")),
)
"""Of the disks by path."""

CREATE = (
    *SPEC,
    *TREE,
    "MissingFrequency",
    "MissingMaxNumberOfImageToKeep",
    "UnsupportedJobType",
    "Duplicate.TagKey",
    "InvalidSourceId.NotFound",
    "SourceServerState.Invalid",
    "QuotaExceeded.ReplicationJob",
    "IdempotentParameterMismatch",
)

OF_JOB = ("InvalidJobId.NotFound", "ReplicationJob.InvalidStatus")
"""Of an action on one job."""

START = (*OF_JOB, "SourceServerState.Invalid")
MODIFY = (*OF_JOB, *SPEC, "InvalidSourceId.NotFound")
