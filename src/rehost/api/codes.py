"""The error codes of the API: HTTP status, how the message begins, and when it is the answer.

Codes of OF_REQUESTS can be the answer to any request. An action declares which of OF_ACTIONS it answers with.
Codes of refused parameters follow from the parameters' description: `declared` knows all of an action.
"""

import re
from dataclasses import dataclass

from rehost.api.spec import Action, Fault, Later, Number, Parameter, Struct, Structs, Text, Texts, Time


@dataclass(frozen=True, slots=True)
class Code:
    status: int  # of HTTP
    text: str  # how the message begins; the case at hand follows
    when: str


OF_REQUESTS: dict[str, Code] = {
    "InvalidAction.NotFound": Code(
        404, "Specified api is not found, please check your url and method.", "There is no such action."
    ),
    "InvalidVersion": Code(400, "Specified parameter Version is not valid.", "It is not 2019-06-01."),
    "InvalidFormat.ValueNotSupported": Code(
        400, "The specified value of Format is not supported.", "Format is neither json nor xml."
    ),
    "InvalidParameter.Format": Code(
        400, "Specified parameter format is not valid.",
        "A value is not of its parameter's type, is given twice, or is not UTF-8.",
    ),
    "RequestTooLarge": Code(413, "The request is too large.", "Body, query or number of parameters."),
    "InvalidAccessKeyId.NotFound": Code(404, "Specified access key is not found.", "The key is not known."),
    "InvalidAccessKeyId.Inactive": Code(400, "Specified access key is disabled.", "The key is disabled."),
    "IncompleteSignature": Code(
        400, "The request signature does not conform to Aliyun standards.", "The Authorization is not whole."
    ),
    "InvalidSignatureMethod": Code(
        400, "Specified signature method is not valid.", "It is none that is known here."
    ),
    "SignatureDoesNotMatch": Code(
        400, "Specified signature is not matched with our calculation.",
        "Another secret, or another request than the signed one.",
    ),
    "SignatureNonceUsed": Code(
        400, "Specified signature nonce was used already.", "The request was sent before."
    ),
    "InvalidSignatureNonce.Malformed": Code(
        400, "The specified parameter SignatureNonce is not valid.", "It is too long."
    ),
    "InvalidRegionId.Malformed": Code(
        400, "The specified parameter RegionId is not valid.", "It is not of the form that is allowed."
    ),
    "InvalidTimeStamp.Expired": Code(
        400, "Specified time stamp or date value is expired.", "More than 15 minutes from the time here."
    ),
    "InvalidTimeStamp.Format": Code(
        400, "Specified time stamp or date value is not well formatted.", "It is not a time of ISO 8601, UTC."
    ),
    "MissingSecurityToken": Code(
        400, "SecurityToken is mandatory for this action.", "The key is a temporary one."
    ),
    "InvalidSecurityToken.Malformed": Code(
        400, "Specified SecurityToken is malformed.", "No token looks like this."
    ),
    "InvalidSecurityToken.MismatchWithAccessKey": Code(
        400, "Specified SecurityToken mismatch with the AccessKey.", "The key has no such token."
    ),
    "InvalidSecurityToken.Expired": Code(
        400, "Specified SecurityToken is expired.", "The temporary key is past its end."
    ),
    "Throttling.User": Code(
        400, "Request was denied due to user flow control.",
        "The access key sends too much; `x-acs-retry-after` has the milliseconds to wait.",
    ),
    "Throttling.Api": Code(
        400, "Request was denied due to api flow control.", "The same of this one action."
    ),
    "Forbidden.Unauthorized": Code(
        403, "A required authorization for the specified action is not supplied.",
        "The caller's policies do not allow it, or deny it.",
    ),
    "RequestTimeout": Code(408, "The request did not arrive in time.", "Its body takes too long."),
    "ServiceUnavailable": Code(
        503, "The request has failed due to a temporary failure of the server.",
        "The control plane has no room for its records.",
    ),
    "InternalError": Code(
        500,
        "An error occurred while processing your request. Please try again. "
        "If the problem still exists, please submit a ticket.",
        "A fault of rehost; its log has the request's id.",
    ),
}  # fmt: skip

OF_V3: dict[str, Code] = {
    "SignatureDoesNotMatch": Code(
        400, "Specified signature does not match our calculation.", "The same; the gateway says it otherwise."
    ),
}  # fmt: skip
"""Those of OF_REQUESTS that have another text when the signature's version is 3."""

OF_ACTIONS: dict[str, Code] = {
    "SourceServerState.Invalid": Code(
        400, "The specified source server status is invalid.",
        "The source server's state, or an unfinished job of it, does not allow it.",
    ),
    "SourceServerName.Duplicate": Code(
        400, "The specified source server name already exists.",
        "Another source server of the account has the name.",
    ),
    "SourceServer.WithRunningReplicationJob": Code(
        400, "The specified source server has related replication jobs that are running.",
        "One of its jobs is Running, whatever Force says.",
    ),
    "ReplicationJob.Related": Code(
        400, "The specified source server has related replication jobs.", "It has jobs, and Force is not set."
    ),
    "ReplicationJob.InvalidStatus": Code(
        400, "The specified replication job status is invalid.", "The job's status does not allow it."
    ),
    "ReplicationJobName.Duplicate": Code(
        400, "The specified replication job name already exists.", "Another job of the account has the name."
    ),
    "ReplicationJobDataDiskIndex.Invalid": Code(
        400, "The specified replication job contains data disk index not found in source server.",
        "The source server has no data disk of that index.",
    ),
    "DataDisk.DuplicateIndex": Code(
        400, "The source server data disk cannot contain the same index.", "A data disk is named twice."
    ),
    "QuotaExceeded.ReplicationJob": Code(
        400, "The maximum number of replication jobs is exceeded.", "The account has as many as it may."
    ),
    "InvalidReplicationParameters.Malformed": Code(
        400, "The specified parameter ReplicationParameters is not valid.",
        "It is not a JSON object of the known keys, or one of them has a wrong value.",
    ),
    "InvalidParameter.Conflict": Code(
        400, "The specified parameters are in conflict.", "Two parameters say the same thing."
    ),
    "IdempotentParameterMismatch": Code(
        400, "The request uses the same client token as a previous, but non-identical request.",
        "The ClientToken came before with other parameters.",
    ),
    "MissingParameter.ResourceType": Code(400, "You must specify ResourceType.", "It is not given."),
    "InvalidResourceType.NotFound": Code(
        400, "The specified ResourceType does not exist.", "Resources of this type have no tags."
    ),
    "InvalidResourceId.NotFound": Code(
        400, "The specified ResourceIds do not exist.",
        "The account has none of this type with one of the ids; then nothing is done.",
    ),
    "NumberExceed.Tags": Code(
        400, "The maximum number of the Tag parameters cannot exceed 20.",
        "Too many are given, or a resource would have more than 20.",
    ),
    "NumberExceed.ResourceIds": Code(
        400, "The maximum number of ResourceId parameters cannot exceed 50.", "More are given."
    ),
    "Duplicate.ResourceId": Code(
        400, "The ResourceId contains duplicate values.", "An id comes again; then nothing is done."
    ),
    "Duplicate.TagKey": Code(400, "The Tag parameters contain a key more than once.", "A key comes again."),
    "InvalidParameter.TagValue": Code(
        400, "The Tag.N.Value parameter needs a Tag.N.Key.", "A value is looked for without its key."
    ),
    "InvalidNextToken": Code(
        400, "The specified NextToken is not valid.",
        "It is not one of an earlier reply, or the other parameters are not the same as then.",
    ),
    "QuotaExceeded.AccessToken": Code(
        400, "The maximum number of activation codes is exceeded.", "The account has as many as it may."
    ),
    "QuotaExceeded.Workgroup": Code(
        400, "The maximum number of workgroups is exceeded.", "The account has as many as it may."
    ),
    "QuotaExceeded.Webhook": Code(
        400, "The maximum number of webhooks is exceeded.", "The account has as many as it may."
    ),
    "WorkgroupName.Duplicate": Code(
        400, "The specified workgroup name already exists.", "Another workgroup of the account has the name."
    ),
    "SourceServer.Related": Code(
        400, "The specified workgroup has related source servers.", "It is not empty."
    ),
    "SourceServer.AlreadyAssociated": Code(
        400, "The specified source server is associated with another workgroup.",
        "A source server is in one workgroup at most; then nothing is done.",
    ),
    "SourceServer.NotAssociated": Code(
        400, "The specified source server is not associated with the workgroup.",
        "It is in none, or in another one; then nothing is done.",
    ),
    "UnsupportedOperation.CrossZoneMigration": Code(
        400, "Cross-zone migration of ECS instances is not supported.",
        "Always: rehost moves servers by their agents, and knows no zones to move between.",
    ),
}  # fmt: skip

OF_STS: dict[str, Code] = {
    "NoPermission": Code(
        403, "You are not authorized to do this action. You should be authorized by RAM.",
        "The caller's policies do not allow it to assume the role.",
    ),
    "EntityNotExist.Role": Code(404, "The role not exists.", "The account has no role of this name."),
    "InvalidParameter.PolicyGrammar": Code(
        400, "The parameter Policy has not passed grammar check.", "The session's policy is none of RAM."
    ),
}  # fmt: skip
"""The same as OF_ACTIONS, of the Security Token Service."""

FAMILIES: tuple[tuple[re.Pattern[str], Code], ...] = (
    (re.compile(r"Missing(\w+)"), Code(400, "{} is mandatory for this action.", "It is not given.")),
    (
        re.compile(r"Invalid(\w+)\.Malformed"),
        Code(400, "The specified parameter {} is not valid.", "It is not of the form that is allowed."),
    ),
    (
        re.compile(r"Invalid(\w+)\.ValueNotSupported"),
        Code(400, "The specified value of {} is not supported.", "It is none of what is allowed."),
    ),
    (
        re.compile(r"Invalid(\w+)\.NotFound"),
        Code(404, "The specified {} does not exist.", "The account has none of this id."),
    ),
    (
        re.compile(r"NumberExceed\.(\w+)s"),
        Code(400, "The maximum number of the {} parameters is exceeded.", "More are given than allowed."),
    ),
    (
        re.compile(r"Duplicate\.(\w+)"),
        Code(400, "The {} contains duplicate values.", "A value comes again."),
    ),
    (
        re.compile(r"Unsupported(\w+)"),
        Code(
            400, "This version of rehost cannot do that with {} yet.", "It is not built, and never ignored."
        ),
    ),
)
"""Codes that have the name of a parameter in them."""


def named(fault: Fault, name: str) -> str:
    """The code of a parameter's fault: DataDisk.1.Part.2.Device is DataDiskPartDevice in it."""
    return fault.value.format("".join(part for part in name.split(".") if not part.isdigit()))


def find(code: str) -> Code:
    """KeyError for one that is not in the tables."""
    known = OF_REQUESTS.get(code) or OF_ACTIONS.get(code) or OF_STS.get(code)
    if known is not None:
        return known
    for pattern, family in FAMILIES:
        if match := pattern.fullmatch(code):
            return Code(family.status, family.text.format(match[1]), family.when)
    raise KeyError(f"the error code {code} is in no table of {__name__}")


def declared(action: Action) -> tuple[str, ...]:
    """All codes that an action answers with, besides those of OF_REQUESTS."""
    derived = [code for parameter in action.parameters for code in _of(parameter, "")]
    return tuple(dict.fromkeys(code for code in (*derived, *action.codes) if code not in OF_REQUESTS))


def _of(parameter: Parameter, path: str) -> list[str]:
    name = f"{path}{parameter.name}"
    own = [parameter.codes.get(fault) or named(fault, name) for fault in _faults(parameter)]
    members = parameter.members if isinstance(parameter, Struct | Structs) else ()
    return own + [code for member in members for code in _of(member, f"{name}.")]


def _faults(parameter: Parameter) -> list[Fault]:
    faults = [Fault.MISSING] if parameter.required else []
    match parameter:
        case Text(choices=choices):
            faults.append(Fault.VALUE if choices else Fault.FORM)
        case Number():
            faults.append(Fault.VALUE)
        case Time():
            faults.append(Fault.FORM)
        case Texts(distinct=distinct, choices=choices):
            faults.append(Fault.COUNT)
            faults += [Fault.TWICE] if distinct else []
            faults.append(Fault.VALUE if choices else Fault.FORM)
        case Structs():
            faults.append(Fault.COUNT)
        case Later():
            faults.append(Fault.LATER)
    return faults
