"""The parameters of CreateReplicationJob, and the rules between them that need nothing but the request."""

from rehost.api import errors
from rehost.api.actions import tag_parameters
from rehost.api.spec import (
    DESCRIPTION,
    DEVICE,
    IDENTIFIER,
    LARGEST_LONG,
    NAME,
    TOKEN,
    Later,
    Number,
    Rule,
    Structs,
    Text,
    Texts,
    Time,
    Truth,
    choices,
)
from rehost.api.values import Values
from rehost.core import replication
from rehost.core.errors import InvalidValueError
from rehost.core.job import Business, Status

MOST_DATA_DISKS = 16
MOST_PARTS = 128  # of a disk; GPT's usual table has so many

TARGET_TYPES = {**choices("Image", "ContainerImage", "Instance"), "targetinstance": "Instance"}

PART = (
    Text("Device", "The source's partition.", form=DEVICE),
    Number("SizeBytes", "Its size on the target; absent: as on the source.", least=1, most=LARGEST_LONG),
    Truth("Block", "Copy it block by block.", default=True),
)

CREATE = (
    Text("RegionId", "The region to migrate to.", form=IDENTIFIER, required=True),
    Text("SourceId", "The source server.", required=True),
    Number(
        "SystemDiskSize", "The target's system disk in GiB; absent: the smallest that holds the source's.",
        least=20, most=2048,
    ),
    Text("ClientToken", "Repetitions with the same token make one job.", form=TOKEN),
    Text("Name", "The job's name, the only one of it in the account.", form=NAME),
    Text("Description", "The job's description.", form=DESCRIPTION),
    Text("TargetType", "What the job makes.", choices=TARGET_TYPES, default="Image"),
    Time("ScheduledStartTime", "When to start, within 30 days; absent: StartReplicationJob does."),
    Time("ValidTime", "Expiry, 7 to 90 days from now; empty: never; absent: in 30 days.", blank=True),
    Text("ImageName", "The image's name; one that is taken gets the job's id as a suffix.", form=NAME),
    Text("InstanceId", "The target instance, for TargetType Instance."),
    Structs(
        "DataDisk", "The target's data disks; absent: all of the source's.",
        members=(
            Number("Size", "GiB; absent: the smallest that holds the source's.", least=20, most=32768),
            Number("Index", "The source's data disk; absent: its place here.", least=1, most=MOST_DATA_DISKS),
            Structs("Part", "Its partitions.", members=PART, most=MOST_PARTS),
        ),
        most=MOST_DATA_DISKS,
    ),
    Structs("SystemDiskPart", "The system disk's partitions.", members=PART, most=MOST_PARTS),
    tag_parameters.GIVEN,
    Text("VpcId", "The VPC of a private network."),
    Text("VSwitchId", "The vSwitch of a private network; required for NetMode 2."),
    Text("ReplicationParameters", "A JSON object of fixed keys.", longest=replication.LONGEST),
    Number("NetMode", "0: public network, 2: private network.", among=(0, 2), default=0),
    Truth("RunOnce", "One run, or one every Frequency hours.", default=True),
    Number("Frequency", "Hours between runs; required for RunOnce=false.", least=1, most=168),
    Number("MaxNumberOfImageToKeep", "Images that are kept; required for RunOnce=false.", least=1, most=10),
    Text("InstanceType", "The transition instance's type."),
    Text("InstanceRamRole", "A RAM role of the instance."),
    Text("ContainerNamespace", "For TargetType ContainerImage."),
    Text("ContainerRepository", "For TargetType ContainerImage."),
    Text("ContainerTag", "For TargetType ContainerImage."),
    Text("LicenseType", "Empty or BYOL.", choices=choices("BYOL")),
    Text("LaunchTemplateId", "A launch template."),
    Text("LaunchTemplateVersion", "The launch template's version."),
    Text("ResourceGroupId", "The job's resource group."),
    Number("JobType", "0: the migration of a server.", least=0, most=3, default=0),
    Later("Disks", "The target's disks, by path.", "Use SystemDiskSize, SystemDiskPart and DataDisk."),
)  # fmt: skip

DESCRIBE = (
    Texts("SourceId", "Jobs of source servers.", most=50),
    Texts("JobId", "Jobs by id.", most=50),
    Texts("InstanceId", "Jobs with these target instances.", most=50),
    Text("Name", "The job's name."),
    Text("RegionId", "The region to migrate to."),
    Text("Status", "Its status.", choices=choices(*(status.value for status in Status))),
    Text("BusinessStatus", "Its business status.", choices=choices(*(b.value for b in Business if b.value))),
    Text("ResourceGroupId", "Its resource group."),
    Number("JobType", "Its type.", least=0, most=3),
    tag_parameters.WANTED,
)


def _network(values: Values) -> None:
    """NetMode=2 needs VSwitchId."""
    if values.number("NetMode") == 2 and not values.text("VSwitchId"):
        raise errors.missing("VSwitchId", "NetMode=2, the private network, needs it.")


def _periodic(values: Values) -> None:
    """RunOnce=false needs Frequency and MaxNumberOfImageToKeep."""
    if values.truth("RunOnce"):
        return
    for name in ("Frequency", "MaxNumberOfImageToKeep"):
        if values.number(name) is None:
            raise errors.missing(name, "RunOnce=false needs it.")


def _target(values: Values) -> None:
    """TargetType=Instance needs InstanceId; only Image is built yet."""
    target = values.text("TargetType")
    if target == "Instance" and not values.text("InstanceId"):
        raise errors.missing("InstanceId", "TargetType=Instance needs it.")
    if target != "Image":
        raise errors.not_yet("TargetType", target, "it makes images", "Use TargetType=Image.")


def _job_type(values: Values) -> None:
    """Only JobType=0 is built."""
    if values.number("JobType"):
        raise errors.not_yet("JobType", values.number("JobType"), "it migrates servers", "Use JobType=0.")


def _replication(values: Values) -> None:
    """ReplicationParameters is a JSON object of the keys that docs/cli.md explains."""
    try:
        replication.parse(values.text("ReplicationParameters"))
    except InvalidValueError as error:
        raise errors.documented("InvalidReplicationParameters.Malformed", error.what, error.advice) from None


def _parts(values: Values) -> None:
    """Device and SizeBytes of a partition go together; Block is true."""
    disks = values.structs("DataDisk")
    for part in [
        *values.structs("SystemDiskPart"),
        *(part for disk in disks for part in disk.structs("Part")),
    ]:
        if not part.text("Device"):
            raise errors.missing(part.full("Device"), "Device and SizeBytes of a partition go together.")
        if part.number("SizeBytes") is None:
            raise errors.missing(part.full("SizeBytes"), "Device and SizeBytes of a partition go together.")
        if not part.truth("Block"):
            raise errors.not_yet(
                part.full("Block"), "false", "it copies block by block", "Leave Block out or set it to true."
            )


RULES: tuple[Rule, ...] = (
    _network,
    _periodic,
    _target,
    _job_type,
    _replication,
    _parts,
    tag_parameters.distinct_keys,
)
CODES = (
    "MissingVSwitchId",
    "MissingFrequency",
    "MissingMaxNumberOfImageToKeep",
    "MissingInstanceId",
    "MissingDataDiskPartDevice",
    "MissingDataDiskPartSizeBytes",
    "MissingSystemDiskPartDevice",
    "MissingSystemDiskPartSizeBytes",
    "InvalidDataDiskPartDevice.ValueNotSupported",
    "InvalidSystemDiskPartDevice.ValueNotSupported",
    "InvalidReplicationParameters.Malformed",
    "InvalidScheduledStartTime.ValueNotSupported",
    "InvalidValidTime.ValueNotSupported",
    "UnsupportedTargetType",
    "UnsupportedJobType",
    "UnsupportedSystemDiskSize",
    "UnsupportedSystemDiskPartBlock",
    "UnsupportedSystemDiskPartSizeBytes",
    "UnsupportedDataDiskSize",
    "UnsupportedDataDiskPartBlock",
    "UnsupportedDataDiskPartSizeBytes",
    "Duplicate.TagKey",
    "InvalidSourceId.NotFound",
    "SourceServerState.Invalid",
    "ReplicationJobDataDiskIndex.Invalid",
    "DataDisk.DuplicateIndex",
    "ReplicationJobName.Duplicate",
    "QuotaExceeded.ReplicationJob",
    "IdempotentParameterMismatch",
)
"""Of errors that follow from these rules, from the source server, and from other jobs."""
