"""The actions on source servers."""

import msgspec

from rehost.api import errors
from rehost.api.actions import paging
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Kind, Later, Resource, Text, Texts, Truth, Wrapped, choices
from rehost.api.values import Values
from rehost.core.errors import NotFoundError
from rehost.core.job import Status
from rehost.core.server import Disk, Inventory, KernelLevel, Partition, ServerState, device_name, gib
from rehost.store.servers import ServerFilter, SourceServer

OFFLINE = "SourceServer.Offline"

_NEEDED = ("/", "/boot", "/boot/efi", "/usr", "/var", "/etc")  # no booted system without these


def describe(call: Call, values: Values) -> dict[str, object]:
    page = paging.page(values)
    want = ServerFilter(
        ids=values.texts("SourceId"),
        job_id=values.text("JobId"),
        name=values.text("Name"),
        state=values.text("State"),
    )
    found = call.store.servers.find(call.account, want, page)
    return {"SourceServers": [_reply(server) for server in found.items], **paging.reply(page, found.total)}


def delete(call: Call, values: Values) -> dict[str, object]:
    server = own(call, values.text("SourceId"))
    if server.state is ServerState.DELETING:
        raise errors.documented("SourceServerState.Invalid", f"{server.id} is being deleted already.")
    related = call.store.jobs.of_source(server.id)
    running = [job.id for job in related if job.state.status is Status.RUNNING]
    if running:
        raise errors.documented(
            "SourceServer.WithRunningReplicationJob",
            f"{server.id} has the running job {', '.join(running)}.",
            "Wait until it has finished.",
        )
    if related and not values.truth("Force"):
        raise errors.documented(
            "ReplicationJob.Related",
            f"{server.id} has {', '.join(job.id for job in related)}.",
            "Delete these jobs first, or set Force=true to delete them together with the source server.",
        )
    call.services.lifecycle.delete_source(server.id, call.actor)
    return {}


def own(call: Call, source_id: str) -> SourceServer:
    """A source server of the caller's account; other accounts' do not exist for them."""
    try:
        server = call.store.servers.get(source_id)
    except NotFoundError:
        raise errors.not_found("SourceId", source_id) from None
    if server.account != call.account:
        raise errors.not_found("SourceId", source_id)
    return server


def _reply(server: SourceServer) -> dict[str, object]:
    inventory = server.inventory
    code, message = _error(server)
    return {
        "AgentVersion": server.agent_version,
        "Architecture": inventory.architecture,
        "CreationTime": server.created,
        "DataDisks": [_data_disk(inventory, disk) for disk in inventory.data_disks],
        "Description": server.description,
        "ErrorCode": code,
        "HeartbeatRate": server.heartbeat_rate,
        "JobId": server.job_id,
        "KernelLevel": inventory.kernel_level,
        "Name": server.name,
        "Platform": inventory.platform,
        "ReplicationDriver": "SMT",
        "SourceId": server.id,
        "State": server.state.value,
        "StatusInfo": _status(inventory, code, message),
        "SystemDiskParts": _parts(inventory, inventory.system_disk),
        "SystemDiskSize": gib(inventory.system_disk.size),
        "SystemInfo": server.system_info,
    }


def _status(inventory: Inventory, code: str, message: str) -> str:
    """What there is to say, as JSON; empty if there is nothing."""
    said = {"error_code": code, "error_msg": message} if code else {}
    if inventory.untracked:
        said["untracked"] = inventory.untracked
    return _text(said) if said else ""


def _error(server: SourceServer) -> tuple[str, str]:
    if server.offline:
        missed = "Its agent's heartbeats do not come. See that the agent runs and reaches the control plane."
        return OFFLINE, missed
    return server.error_code, server.error_msg


def _data_disk(inventory: Inventory, disk: Disk) -> dict[str, object]:
    mounts = [partition.mount for partition in disk.partitions if partition.mount]
    return {
        "Index": disk.index,
        "Parts": _parts(inventory, disk),
        "Path": mounts[0] if mounts else disk.path,
        "Size": gib(disk.size),
    }


def _parts(inventory: Inventory, disk: Disk) -> list[dict[str, object]]:
    return [
        {
            "CanBlock": inventory.kernel_level >= KernelLevel.BLOCKS,
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
_SERVER = (
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
    Field("Description", Kind.STRING),
    Field("ErrorCode", Kind.STRING, f"{OFFLINE} when heartbeats do not come, else what the agent reports."),
    Field("HeartbeatRate", Kind.INTEGER, "Seconds."),
    Field("JobId", Kind.STRING, "The newest replication job."),
    Field("KernelLevel", Kind.INTEGER, "0: file copy only, 1: block copy, 2: block copy with tracking."),
    Field("Name", Kind.STRING),
    Field("Platform", Kind.STRING, "The distribution."),
    Field("ReplicationDriver", Kind.STRING, "SMT."),
    Field("SourceId", Kind.STRING),
    Field("State", Kind.STRING, "Unavailable, Available, InUse or Deleting."),
    Field(
        "StatusInfo",
        Kind.STRING,
        "JSON: error_code and error_msg when something is wrong; untracked: why KernelLevel is not 2.",
    ),
    Wrapped("SystemDiskParts", "SystemDiskPart", _PART),
    Field("SystemDiskSize", Kind.INTEGER, "GiB."),
    Field("SystemInfo", Kind.STRING, "JSON of at most 1 KB."),
)

ACTIONS = (
    Action(
        "DescribeSourceServers",
        "List source servers; all conditions hold together, an empty one does not count.",
        (
            Texts("SourceId", "Source servers by id.", most=50),
            Text("JobId", "The source server of a replication job."),
            Text("State", "Its state.", choices=choices(*(state.value for state in ServerState))),
            Text("Name", "Its name."),
            Later("Tag", "Source servers with these tags.", "Filter by SourceId, JobId, State or Name."),
            Later("WorkgroupId", "Those of a workgroup.", "Filter by SourceId, JobId, State or Name."),
            Later("ResourceGroupId", "Those of a resource group.", "Filter by SourceId, State or Name."),
            Later("RelatedJobType", "By the type of their jobs.", "Filter by SourceId, State or Name."),
            *paging.PARAMETERS,
        ),
        describe,
        (Wrapped("SourceServers", "SourceServer", _SERVER), *paging.REPLY),
        resources=(Resource("sourceServer"),),
    ),
    Action(
        "DeleteSourceServer",
        "Delete a source server; its agent can then do nothing here any more.",
        (
            Text("SourceId", "The source server.", required=True),
            Truth("Force", "Delete its replication jobs too.", default=False),
        ),
        delete,
        codes=(
            "InvalidSourceId.NotFound",
            "SourceServerState.Invalid",
            "SourceServer.WithRunningReplicationJob",
            "ReplicationJob.Related",
        ),
        resources=(Resource("sourceServer", "SourceId"),),
    ),
)
