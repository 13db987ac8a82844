"""CreateCrossZoneMigrationJob: known, and always refused."""

from typing import NoReturn

from rehost.api import errors
from rehost.api.services import Call
from rehost.api.spec import Action, Field, Kind, Resource, Structs, Text, Truth
from rehost.api.values import Values


def create(call: Call, values: Values) -> NoReturn:
    raise errors.documented(
        "UnsupportedOperation.CrossZoneMigration",
        "The action moves a cloud instance between the zones of a cloud, without an agent.",
        "Install the agent on the server and use CreateReplicationJob with JobType=0.",
    )


ACTIONS = (
    Action(
        "CreateCrossZoneMigrationJob",
        "Not supported: rehost moves servers by their agents, and knows no zones to move between.",
        (
            Text("RegionId", "Not looked at, as all that follow."),
            Text("InstanceId", "The instance."),
            Text("TargetZoneId", "The zone."),
            Text("TargetVSwitchId", "The vSwitch in it."),
            Text("TargetInstanceType", "The instance type there."),
            Structs(
                "Disk",
                "The instance's disks.",
                members=(
                    Text("DiskId", "The disk."),
                    Text("Category", "Its category there."),
                    Text("PerformanceLevel", "Its performance level there."),
                ),
                most=17,
            ),
            Truth("AutoPay", "Pay at once."),
            Text("ResourceGroupId", "The job's resource group."),
            Text("ClientToken", "For repetitions."),
        ),
        create,
        (Field("JobId", Kind.STRING, "Never there."),),
        codes=("UnsupportedOperation.CrossZoneMigration",),
        resources=(Resource("replicationJob"),),
    ),
)
