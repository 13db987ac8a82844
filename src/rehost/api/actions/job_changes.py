"""ModifyReplicationJobAttribute: what can be changed of a job, and in which of its statuses."""

from dataclasses import replace

from rehost.api import errors
from rehost.api.actions.job_parameters import CREATE, check_disks, check_replication, check_target
from rehost.api.spec import Number, Parameter, Rule, Text, Time
from rehost.api.values import Values
from rehost.core.job import Status
from rehost.store.jobspec import JobSpec
from rehost.store.transition import Job

_BEFORE_IT_STARTS = frozenset({Status.READY})
_BETWEEN_RUNS = frozenset({Status.READY, Status.WAITING})
_NOT_OVER = frozenset(Status) - {Status.FINISHED, Status.EXPIRED, Status.DELETING}
_WHOLE_LIFE = frozenset(Status) - {Status.DELETING}

WHEN: dict[str, frozenset[Status]] = {
    "Name": _WHOLE_LIFE,
    "Description": _WHOLE_LIFE,
    "Frequency": _BETWEEN_RUNS,
    "MaxNumberOfImageToKeep": _BETWEEN_RUNS,
    "ValidTime": _NOT_OVER,
    **dict.fromkeys(
        (
            "TargetType", "ScheduledStartTime", "ImageName", "InstanceId", "SystemDiskSize", "InstanceType",
            "LaunchTemplateId", "LaunchTemplateVersion", "InstanceRamRole", "ContainerNamespace",
            "ContainerRepository", "ContainerTag", "SystemDiskPart", "DataDisk", "NetMode",
            "ReplicationParameters", "VSwitchId", "VpcId",
        ),
        _BEFORE_IT_STARTS,
    ),
}  # fmt: skip
"""The parameters that can be changed, and the statuses in which they can."""


_ABOUT = {
    "SystemDiskSize": "The target's system disk in GiB.",
    "ScheduledStartTime": "When to start, within 30 days; empty: StartReplicationJob does.",
    "ValidTime": "Expiry, 7 to 90 days from the job's creation; empty: never. Until the job is over.",
    "DataDisk": "The target's data disks, in place of all that the job has.",
    "Frequency": "Hours between runs. Also while it waits.",
    "MaxNumberOfImageToKeep": "Images that are kept. Also while it waits.",
}
"""Where Create says what it means to leave a parameter out: here it stays as it is."""


def _changing(parameter: Parameter) -> Parameter:
    """A parameter of Create as one of Modify: what is not given has no default, it stays."""
    parameter = replace(parameter, about=_ABOUT.get(parameter.name, parameter.about))
    match parameter:
        case Text():
            return replace(parameter, default="")
        case Number():
            return replace(parameter, default=None)
        case Time():
            return replace(parameter, blank=True)
    return parameter


PARAMETERS = tuple(_changing(parameter) for parameter in CREATE if parameter.name in WHEN)
RULES: tuple[Rule, ...] = (check_target, check_replication, check_disks)


def given(values: Values) -> tuple[str, ...]:
    return tuple(name for name in WHEN if values.given(name))


def check_status(values: Values, job: Job) -> None:
    for name in given(values):
        if job.state.status not in WHEN[name]:
            allowed = ", ".join(status for status in Status if status in WHEN[name])
            raise errors.documented(
                "ReplicationJob.InvalidStatus",
                f"{name} of {job.id} cannot be changed, since the job is {job.state.status}.",
                f"{name} can be changed while a job is {allowed}.",
            )


def check_whole(spec: JobSpec) -> None:
    """Rules between what is changed and what stays."""
    if spec.net_mode == 2 and not spec.vswitch_id:
        raise errors.missing("VSwitchId", "NetMode=2, the private network, needs it.")
    if spec.launch_template_version and not spec.launch_template_id:
        raise errors.missing("LaunchTemplateId", "LaunchTemplateVersion is a version of it.")
