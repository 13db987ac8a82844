"""The error tree: every error says what happened, to what, and what to do next.

`code` is the stable name that people see as a job's ErrorCode; `advice` is the next step.
"""

from typing import ClassVar


class RehostError(Exception):
    """The root of all errors that rehost raises on purpose."""

    code: ClassVar[str] = "InternalError"

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}" if self.advice else self.what


class ReportedError(RehostError):
    """An error that another process met and reported by code, text and advice."""

    def __init__(self, code: str, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.reported_code = code


def code_of(error: BaseException) -> str:
    """The stable code of any error; errors not of this tree are internal ones."""
    if isinstance(error, ReportedError):
        return error.reported_code
    return error.code if isinstance(error, RehostError) else RehostError.code


def reported(code: str, what: str, advice: str = "") -> RehostError:
    """What another process reported, as the error class of its code where the tree has one."""
    found = _by_code(RehostError).get(code)
    return found(what, advice) if found else ReportedError(code, what, advice)


def _by_code(root: type[RehostError]) -> dict[str, type[RehostError]]:
    below = [cls for cls in root.__subclasses__() if "code" in cls.__dict__]
    return {cls.code: cls for cls in below} | {k: v for cls in below for k, v in _by_code(cls).items()}


class InvalidValueError(RehostError, ValueError):
    code = "InvalidParameter"


class PolicyError(InvalidValueError):
    """A text is no policy; the error names the place in it."""

    code = "MalformedPolicyDocument"


class InvalidTransitionError(RehostError):
    """An event that a job's state does not allow."""

    code = "ReplicationJob.InvalidStatus"


class RecordsNewerError(RehostError):
    """The database has the schema of a later release."""

    code = "ControlPlane.RecordsNewer"


class RecordsRestoredError(RehostError):
    """A run was going on at the time from which records were brought back; it begins again."""

    code = "ControlPlane.Restored"


class WireError(RehostError):
    """The peer broke the protocol of the data plane."""

    code = "DataPlane.ProtocolError"


class FrameTooLongError(WireError):
    code = "DataPlane.FrameTooLong"


class TicketError(RehostError):
    code = "Ticket.Invalid"


class TicketExpiredError(TicketError):
    code = "Ticket.Expired"


class TicketStaleError(TicketError):
    """A newer generation of the run has taken the volumes over."""

    code = "Ticket.Stale"


class ConnectionLostError(RehostError):
    """The data plane's connection ended; the sender connects again."""

    code = "DataPlane.ConnectionLost"


class ReceiverBusyError(RehostError):
    """A receiver has as many connections as its memory is for."""

    code = "DataPlane.Busy"


class DigestMismatchError(RehostError):
    code = "DataPlane.DigestMismatch"


class PatchRefusedError(RehostError):
    """Pages of a chunk came for a replica that does not have the rest of it as its journal says."""

    code = "DataPlane.PatchRefused"


class SourceReadError(RehostError):
    """A source disk returned an I/O error."""

    code = "SourceDisk.ReadFailed"


class SourceDiskChangedError(RehostError):
    """A source disk vanished, appeared or was repartitioned during a run."""

    code = "SourceDisk.Changed"


class RunStoppedError(RehostError):
    """The agent was told to stop a run before its end."""

    code = "Run.Stopped"


class FreezeError(RehostError):
    code = "SourceServer.FreezeFailed"


class NotConvergingError(FreezeError):
    """The source's disks are written faster than they are sent."""

    code = "SourceServer.NotConverging"


class HookError(RehostError):
    """A hook of the source server's owner failed, and nothing was frozen."""

    code = "SourceServer.HookFailed"


class TrackingError(RehostError):
    """Writes to a source disk cannot be tracked, or some of them were not seen: digests are compared."""

    code = "SourceDisk.NotTracked"


class VolumeFullError(RehostError):
    code = "TargetDisk.Full"


class VolumeError(RehostError):
    code = "TargetDisk.WriteFailed"


class VolumeInUseError(VolumeError):
    """Another program has a volume or an image open: what was asked is possible when it has ended."""

    code = "TargetDisk.InUse"


class ReplicaIncompleteError(RehostError):
    """A replica lacks chunks, or is not what the source says it has."""

    code = "Replica.Incomplete"


class DigestFileError(RehostError):
    """A file with the digests of a run cannot be read or written, or is damaged."""

    code = "DigestFile.Unusable"


class ActivationCodeError(RehostError):
    code = "ActivationCode.Invalid"


class AgentIdentityError(RehostError):
    code = "Agent.IdentityInvalid"


class ClonedAgentError(RehostError):
    """A machine shows an agent's identity that was given to another one."""

    code = "Agent.Cloned"


class BootChangedError(RehostError):
    """An agent speaks from another boot than before, which may be a clone's: it is to ask again."""

    code = "Agent.BootChanged"


class AgentInstallError(RehostError):
    """The agent could not be put on a server, or its bundle could not be built."""

    code = "Agent.InstallFailed"


class ControlPlaneError(RehostError):
    """The control plane could not be reached or refused the agent."""

    code = "ControlPlane.Unreachable"


class MachineError(RehostError):
    """A virtual machine did not start, answer or end as it should."""

    code = "Machine.Failed"


class ConversionError(RehostError):
    code = "Conversion.Failed"


class BootCheckError(RehostError):
    code = "BootCheck.Failed"


class MissingProgramError(RehostError):
    """A program that this host needs is not installed."""

    code = "Host.ProgramMissing"


class NotFoundError(RehostError):
    code = "NotFound"


class DuplicateNameError(RehostError):
    """Another job of the account already has the name."""

    code = "ReplicationJobName.Duplicate"


class DuplicateSourceNameError(RehostError):
    """Another source server of the account already has the name."""

    code = "SourceServerName.Duplicate"


class DuplicateWorkgroupNameError(RehostError):
    """Another workgroup of the account already has the name."""

    code = "WorkgroupName.Duplicate"


class WorkgroupNotEmptyError(RehostError):
    """A workgroup cannot be deleted while source servers are in it."""

    code = "SourceServer.Related"


class AlreadyAssociatedError(RehostError):
    """A source server is in another workgroup."""

    code = "SourceServer.AlreadyAssociated"


class NotAssociatedError(RehostError):
    """A source server is not in the workgroup that it is to leave."""

    code = "SourceServer.NotAssociated"


class TaggedResourceError(NotFoundError):
    """A resource that is to be tagged does not exist, or is of another kind."""

    code = "InvalidResourceId.NotFound"


class TooManyTagsError(RehostError):
    code = "NumberExceed.Tags"


class QuotaExceededError(RehostError):
    code = "QuotaExceeded.ReplicationJob"


class AccessTokenQuotaError(RehostError):
    code = "QuotaExceeded.AccessToken"


class WorkgroupQuotaError(RehostError):
    code = "QuotaExceeded.Workgroup"


class NoRoomError(RehostError):
    """As many jobs run as may: the start of one more waits."""

    code = "RunningJobs.Full"


class WebhookQuotaError(RehostError):
    code = "QuotaExceeded.Webhook"


class WebhookError(RehostError):
    """A message could not be brought to the receiver of a webhook; it is tried again."""

    code = "Webhook.Undelivered"


class SourceServerStateError(RehostError):
    """The source server's state or its other jobs do not allow what was asked."""

    code = "SourceServerState.Invalid"


class RelatedJobError(RehostError):
    """A source server cannot be deleted while it has jobs, unless they are to be deleted with it."""

    code = "ReplicationJob.Related"


class RunningJobError(RehostError):
    """A source server cannot be deleted while one of its jobs runs."""

    code = "SourceServer.WithRunningReplicationJob"


class IdempotencyError(RehostError):
    """A ClientToken came again with other parameters."""

    code = "IdempotentParameterMismatch"


class IdentityError(RehostError):
    """An account, user, role, policy or key is in a state that does not allow what was asked."""

    code = "Identity.Conflict"


class RequestTimeoutError(RehostError):
    """A client began a request and did not end it in time."""

    code = "RequestTimeout"


class DataFolderError(RehostError):
    """The data folder of the control plane cannot be used."""

    code = "DataFolder.Unusable"


class DataFolderFullError(DataFolderError):
    """The control plane cannot write its records; what was to be written is to be repeated."""

    code = "DataFolder.Full"


class HostError(RehostError):
    """A host cannot take part in the work on a database, or cannot be taken out of it."""

    code = "Host.Conflict"


class NoHostError(RehostError):
    """No host takes new jobs."""

    code = "Host.NoneThere"


class DatabaseUnavailableError(RehostError):
    """The control plane's records cannot be read or written for now; what was asked is to be repeated."""

    code = "ServiceUnavailable"
