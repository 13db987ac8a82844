"""The parameters of CreateReplicationJob, and the rules between them that need nothing but the request."""

from collections.abc import Iterable

from rehost.api import errors
from rehost.api.actions import tag_parameters
from rehost.api.spec import (
    DESCRIPTION,
    DEVICE,
    IDENTIFIER,
    LARGEST_LONG,
    NAME,
    TOKEN,
    Number,
    Rule,
    Struct,
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

_OF_PART = (
    Number(
        "SizeBytes",
        "Its size on the target, which goes with the name; without both: as on the source.",
        least=1,
        most=LARGEST_LONG,
    ),
    Truth("Block", "Copy it block by block.", default=True),
)
PART = (Text("Device", "The source's partition.", form=DEVICE), *_OF_PART)
PATH_PART = (Text("Path", "Where the source's partition is mounted, else its device."), *_OF_PART)
_DISK = (
    Truth("LVM", "It has logical volumes; absent: as on the source."),
    Structs("Part", "Its partitions.", members=PATH_PART, most=MOST_PARTS),
)
DISKS = Struct(
    "Disks",
    "The target's disks by path: in place of SystemDiskSize, SystemDiskPart and DataDisk.",
    members=(
        Struct(
            "System", "The system disk.",
            members=(Number("Size", "GiB; absent: the smallest.", least=20, most=2048), *_DISK),
        ),
        Structs(
            "Data", "The data disks; absent: all of the source's.",
            members=(
                Text("DiskId", "The source's device, /dev/sdb; absent: its Nth data disk."),
                Number("Size", "GiB; absent: the smallest.", least=20, most=32768),
                *_DISK,
            ),
            most=MOST_DATA_DISKS,
        ),
    ),
)  # fmt: skip

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
            Number("Index", "The source's data disk; absent: N.", least=1, most=MOST_DATA_DISKS),
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
    DISKS,
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


def check_target(values: Values) -> None:
    """TargetType=Instance needs InstanceId; only Image is built yet."""
    target = values.text("TargetType")
    if target == "Instance" and not values.text("InstanceId"):
        raise errors.missing("InstanceId", "TargetType=Instance needs it.")
    if target not in ("", "Image"):
        raise errors.not_yet("TargetType", target, "it makes images", "Use TargetType=Image.")


def _job_type(values: Values) -> None:
    """Only JobType=0 is built."""
    if values.number("JobType"):
        raise errors.not_yet("JobType", values.number("JobType"), "it migrates servers", "Use JobType=0.")


def check_replication(values: Values) -> None:
    """ReplicationParameters is a JSON object of the keys that docs/cli.md explains."""
    try:
        replication.parse(values.text("ReplicationParameters"))
    except InvalidValueError as error:
        raise errors.documented(
            "InvalidReplicationParameters.Malformed", f"{error.what}.", error.advice
        ) from None


def check_disks(values: Values) -> None:
    """Disks comes alone; a partition's name and SizeBytes go together; Block is true."""
    tree = values.struct("Disks")
    by_device = [part for disk in values.structs("DataDisk") for part in disk.structs("Part")]
    _check_parts([*values.structs("SystemDiskPart"), *by_device], "Device")
    if tree is None:
        return
    for other in ("SystemDiskSize", "SystemDiskPart", "DataDisk"):
        if values.given(other):
            raise errors.conflict("Disks", other)
    system = tree.struct("System")
    disks = [*([system] if system else []), *tree.structs("Data")]
    _check_parts([part for disk in disks for part in disk.structs("Part")], "Path")


def _check_parts(parts: Iterable[Values], name: str) -> None:
    for part in parts:
        why = f"{name} and SizeBytes of a partition go together."
        if not part.text(name):
            raise errors.missing(part.full(name), why)
        if part.number("SizeBytes") is None:
            raise errors.missing(part.full("SizeBytes"), why)
        if not part.truth("Block"):
            raise errors.not_yet(
                part.full("Block"), "false", "it copies block by block", "Leave Block out or set it to true."
            )


def _launch_template(values: Values) -> None:
    """LaunchTemplateVersion needs LaunchTemplateId."""
    if values.text("LaunchTemplateVersion") and not values.text("LaunchTemplateId"):
        raise errors.missing("LaunchTemplateId", "LaunchTemplateVersion is a version of it.")


RULES: tuple[Rule, ...] = (
    _network,
    _periodic,
    check_target,
    _job_type,
    check_replication,
    check_disks,
    _launch_template,
    tag_parameters.distinct_keys,
)
