"""What a person asks of a replication job: the parameters of its creation, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A partition of a target disk."""

    device: str  # the source partition's name in the API: 0_0
    size: int | None = None  # bytes; None: as on the source
    block: bool = True  # copied block by block, not file by file
    path: str = ""  # where it is mounted on the source, else the source's device


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk of the target."""

    index: int  # the source's disk index; 0 is the system disk
    size: int | None = None  # GiB; None: as on the source
    parts: tuple[PartSpec, ...] = ()
    path: str = ""  # the source's device: /dev/sdb
    lvm: bool = False  # it holds logical volumes


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Every parameter of CreateReplicationJob but the tags; empty text and None: it was not given."""

    source_id: str
    region: str = ""
    name: str = ""
    description: str = ""
    target_type: str = "Image"
    scheduled_start: float | None = None  # Unix seconds
    valid_until: float | None = None  # Unix seconds; None: never expires
    image_name: str = ""
    instance_id: str = ""
    system_disk: DiskSpec = DiskSpec(0)
    data_disks: tuple[DiskSpec, ...] = ()
    vpc_id: str = ""
    vswitch_id: str = ""
    replication_parameters: str = ""  # the JSON text as it was sent
    net_mode: int = 0
    run_once: bool = True
    frequency: int | None = None  # hours
    max_images: int | None = None  # MaxNumberOfImageToKeep
    instance_type: str = ""
    instance_ram_role: str = ""
    container_namespace: str = ""
    container_repository: str = ""
    container_tag: str = ""
    license_type: str = ""
    launch_template_id: str = ""
    launch_template_version: str = ""
    resource_group_id: str = ""
    job_type: int | None = None
