"""A source server as DescribeSourceServers shows it."""

import msgspec

from rehost.api import times
from rehost.api.actions import tag_parameters
from rehost.api.spec import Field, Fields, Kind, Nested, Wrapped
from rehost.core.clones import Bearers
from rehost.core.server import Disk, KernelLevel, Partition, device_name, gib
from rehost.store.serverrow import SourceServer
from rehost.store.tags import Tag

OFFLINE = "SourceServer.Offline"
_CLONE_SHOWN = 600.0  # seconds from a clone's last request

_NEEDED = ("/", "/boot", "/boot/efi", "/usr", "/var", "/etc")  # no booted system without these


def reply(server: SourceServer, tags: tuple[Tag, ...]) -> dict[str, object]:
    inventory = server.inventory
    block = inventory.kernel_level >= KernelLevel.BLOCKS
    code, message = _error(server)
    return {
        "AgentVersion": server.agent_version,
        "Architecture": inventory.architecture,
        "CreationTime": times.write(server.created),
        "DataDisks": {"DataDisk": [_data_disk(disk, block) for disk in inventory.data_disks]},
        "Description": server.description,
        "Disks": {
            "Data": {"Data": [_disk(disk, block) for disk in inventory.data_disks]},
            "System": _disk(inventory.system_disk, block),
        },
        "ErrorCode": code,
        "HeartbeatRate": server.heartbeat_rate,
        "JobId": server.job_id,
        "KernelLevel": inventory.kernel_level,
        "Name": server.name,
        "Platform": inventory.platform,
        "ReplicationDriver": "SMT",
        "ResourceGroupId": server.resource_group_id,
        "SourceId": server.id,
        "State": server.state.value,
        "StatusInfo": _status(server, code, message),
        "SystemDiskParts": {"SystemDiskPart": _parts(inventory.system_disk, block)},
        "SystemDiskSize": gib(inventory.system_disk.size),
        "SystemInfo": server.system_info,
        "Tags": tag_parameters.reply(tags),
        "WorkgroupId": server.workgroup_id,
    }


def _status(server: SourceServer, code: str, message: str) -> str:
    """What there is to say, as JSON; empty if there is nothing."""
    said = {"error_code": code, "error_msg": message} if code else {}
    if server.inventory.untracked:
        said["untracked"] = server.inventory.untracked
    if server.bearers and (clone := _clone(server.bearers, server.heartbeat)):
        said["clone"] = clone
    return _text(said) if said else ""


def _clone(bearers: Bearers, heartbeat: float) -> str:
    """Both machines, as long as the second one asks; without the first one's heartbeats for good."""
    clone = bearers.clone
    if clone is None or not clone.sure or clone.last < heartbeat - _CLONE_SHOWN:
        return ""
    return (
        f"A second machine has this source server's identity, and is refused: {clone.boot}, from"
        f" {clone.address}, since {times.write(clone.first)}, last at {times.write(clone.last)}."
        f" The source server is: {bearers.own}."
        " If the second one is a clone, run `rehost-agent register --anew` on it."
    )


def _error(server: SourceServer) -> tuple[str, str]:
    if server.offline:
        missed = "Its agent's heartbeats do not come. See that the agent runs and reaches the control plane."
        return OFFLINE, missed
    return server.error_code, server.error_msg


def _data_disk(disk: Disk, block: bool) -> dict[str, object]:
    mounts = [partition.mount for partition in disk.partitions if partition.mount]
    return {
        "Index": disk.index,
        "Parts": {"Part": _parts(disk, block)},
        "Path": mounts[0] if mounts else disk.path,
        "Size": gib(disk.size),
    }


def _disk(disk: Disk, block: bool) -> dict[str, object]:
    """In the newer form: by paths."""
    parts = [
        {
            "CanBlock": block,
            "Path": partition.mount or partition.path,
            "SizeBytes": partition.size,
            "Type": partition.filesystem,
        }
        for partition in disk.partitions
    ]
    start = min((partition.start for partition in disk.partitions), default=0)
    return {"Offset": start, "Parts": {"Part": parts}, "Size": gib(disk.size)}


def _parts(disk: Disk, block: bool) -> list[dict[str, object]]:
    return [
        {
            "CanBlock": block,
            "Device": device_name(disk, partition),
            "Need": _needed(disk, partition),
            "Path": partition.mount,
            "SizeBytes": partition.size,
        }
        for partition in disk.partitions
    ]


def _needed(disk: Disk, partition: Partition) -> bool:
    return disk.index == 0 or partition.mount in _NEEDED


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


_PART = (
    Field("CanBlock", Kind.BOOLEAN, "It can be copied block by block."),
    Field("Device", Kind.STRING, "Its name in this API."),
    Field("Need", Kind.BOOLEAN, "It has to be part of a migration."),
    Field("Path", Kind.STRING, "Where it is mounted."),
    Field("SizeBytes", Kind.LONG, "Bytes."),
)
_DISK = (
    Field("Offset", Kind.LONG, "Where its first partition begins, bytes."),
    Wrapped(
        "Parts",
        "Part",
        (
            Field("CanBlock", Kind.BOOLEAN, "It can be copied block by block."),
            Field("Path", Kind.STRING, "Where it is mounted; its device if it is not."),
            Field("SizeBytes", Kind.LONG, "Bytes."),
            Field("Type", Kind.STRING, "Its file system; empty: unknown."),
        ),
    ),
    Field("Size", Kind.INTEGER, "GiB."),
)
FIELDS: Fields = (
    Field("AgentVersion", Kind.STRING, "The agent's version."),
    Field("Architecture", Kind.STRING, "x86_64, …"),
    Field("CreationTime", Kind.TIME, "When it was registered."),
    Wrapped(
        "DataDisks",
        "DataDisk",
        (
            Field("Index", Kind.INTEGER, "From 1."),
            Wrapped("Parts", "Part", _PART),
            Field("Path", Kind.STRING, "Where its first mounted partition is, else its device."),
            Field("Size", Kind.INTEGER, "GiB."),
        ),
    ),
    Field("Description", Kind.STRING, "What people say of it."),
    Nested("Disks", (Wrapped("Data", "Data", _DISK), Nested("System", _DISK))),
    Field("ErrorCode", Kind.STRING, f"{OFFLINE} when heartbeats do not come, else what the agent reports."),
    Field("HeartbeatRate", Kind.INTEGER, "Seconds."),
    Field("JobId", Kind.STRING, "The newest replication job."),
    Field("KernelLevel", Kind.INTEGER, "0: file copy only, 1: block copy, 2: block copy with tracking."),
    Field("Name", Kind.STRING, "Its hostname, unless people gave it another name."),
    Field("Platform", Kind.STRING, "The distribution."),
    Field("ReplicationDriver", Kind.STRING, "SMT."),
    Field("ResourceGroupId", Kind.STRING, "Empty: in none."),
    Field("SourceId", Kind.STRING, "Its id."),
    Field("State", Kind.STRING, "Unavailable, Available, InUse or Deleting."),
    Field(
        "StatusInfo",
        Kind.STRING,
        "JSON: error_code and error_msg when something is wrong; untracked: why KernelLevel is not 2;"
        " clone: another machine with its agent's identity.",
    ),
    Wrapped("SystemDiskParts", "SystemDiskPart", _PART),
    Field("SystemDiskSize", Kind.INTEGER, "GiB."),
    Field("SystemInfo", Kind.STRING, "JSON of at most 1 KB."),
    tag_parameters.REPLY,
    Field("WorkgroupId", Kind.STRING, "Empty: in none."),
)
