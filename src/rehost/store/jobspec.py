"""What a person asks of a replication job: the parameters of its creation, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartSpec:
    """A partition of a target disk."""

    device: str  # the source partition's name in the API: 0_0
    size: int | None = None  # bytes; None: as on the source
    block: bool = True  # copied block by block, not file by file


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A data disk of the target."""

    index: int  # the source's disk index, from 1
    size: int | None = None  # GiB; None: as on the source
    parts: tuple[PartSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class PathPartSpec:
    """A partition in the newer form of the disk list (parameter Disks)."""

    path: str
    size: int | None = None
    block: bool = True


@dataclass(frozen=True, slots=True)
class PathDiskSpec:
    disk_id: str = ""
    size: int | None = None  # GiB
    lvm: bool = False
    parts: tuple[PathPartSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskTree:
    system: PathDiskSpec | None = None
    data: tuple[PathDiskSpec, ...] = ()


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
    system_disk_size: int | None = None  # GiB; None: as on the source
    system_disk_parts: tuple[PartSpec, ...] = ()
    data_disks: tuple[DiskSpec, ...] = ()
    disks: DiskTree | None = None
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
