"""Errors as the API answers them: the codes of the seed and of its gateway, with their HTTP status.

A message names the parameter, its value and what is allowed; `Recommend` in the reply is the next step.
"""

from rehost.core.errors import (
    DatabaseUnavailableError,
    DataFolderFullError,
    InvalidValueError,
    NotFoundError,
    RehostError,
    ReportedError,
    code_of,
)

INTERNAL = (
    "An error occurred while processing your request. Please try again. "
    "If the problem still exists, please submit a ticket."
)
_LONGEST_VALUE = 80  # characters of a value that a message repeats

# What the documentation says of a code; the error's own text follows it.
_TEXTS = {
    "ReplicationJob.InvalidStatus": "The specified replication job status is invalid.",
    "ReplicationJob.Related": "The specified source server has related replication jobs.",
    "ReplicationJobName.Duplicate": "The specified replication job name already exists.",
    "ReplicationJobDataDiskIndex.Invalid": (
        "The specified replication job contains data disk index not found in source server."
    ),
    "DataDisk.DuplicateIndex": "The source server data disk cannot contain the same index.",
    "QuotaExceeded.ReplicationJob": "The maximum number of replication jobs is exceeded.",
    "SourceServer.WithRunningReplicationJob": (
        "The specified source server has related replication jobs that are running."
    ),
    "SourceServerState.Invalid": "The specified source server status is invalid.",
    "SourceServerName.Duplicate": "The specified source server name already exists.",
    "IdempotentParameterMismatch": (
        "The request uses the same client token as a previous, but non-identical request."
    ),
}


class ApiError(ReportedError):
    """A request that is refused: HTTP status, code, message, and what to do next."""

    def __init__(self, status: int, code: str, message: str, recommend: str = "") -> None:
        super().__init__(code, message, recommend)
        self.status = status


def documented(code: str, detail: str, recommend: str = "", status: int = 400) -> ApiError:
    """One of the codes that the documentation lists with a text of its own."""
    return ApiError(status, code, f"{_TEXTS[code]} {detail}".strip(), recommend)


def refused(error: RehostError) -> ApiError | None:
    """An error of the layers below as an answer; None if it is not the caller's doing."""
    if isinstance(error, ApiError):
        return error
    code = code_of(error)
    if code in _TEXTS:
        return documented(code, _sentence(error.what), error.advice)
    if isinstance(error, NotFoundError | InvalidValueError):
        status = 404 if isinstance(error, NotFoundError) else 400
        return ApiError(status, code, _sentence(error.what), error.advice)
    if isinstance(error, DataFolderFullError | DatabaseUnavailableError):
        return ApiError(503, "ServiceUnavailable", _sentence(error.what), error.advice)
    return None


def internal() -> ApiError:
    return ApiError(500, "InternalError", INTERNAL)


def missing(name: str, why: str = "") -> ApiError:
    return ApiError(400, f"Missing{_flat(name)}", f"{name} is mandatory for this action.", why)


def wrong_type(name: str, value: str, wanted: str) -> ApiError:
    """The text is not even of the parameter's type."""
    return ApiError(
        400,
        "InvalidParameter.Format",
        f"Specified parameter format is not valid. {name}={shown(value)} is not {wanted}.",
    )


def malformed(name: str, value: str, allowed: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid{_flat(name)}.Malformed",
        f"The specified parameter {name} is not valid: {shown(value)}. Allowed: {allowed}.",
    )


def not_allowed(name: str, value: object, allowed: str) -> ApiError:
    """A value of the right form that the parameter does not take."""
    return ApiError(
        400,
        f"Invalid{_flat(name)}.ValueNotSupported",
        f"The specified value of {name} is not supported: {shown(str(value))}. Allowed: {allowed}.",
    )


def not_yet(name: str, value: object, why: str, instead: str) -> ApiError:
    """A value that the documentation knows and this version does not carry out."""
    return ApiError(
        400,
        f"Unsupported{_flat(name)}",
        f"This version of rehost cannot do {name}={shown(str(value))} yet: {why}.",
        instead,
    )


def too_many(name: str, most: int, got: str) -> ApiError:
    return ApiError(
        400,
        f"NumberExceed.{_flat(name)}s",
        f"The maximum number of the {name} parameters cannot exceed {most}, but {got} was given.",
    )


def not_found(name: str, value: str) -> ApiError:
    return ApiError(
        404,
        f"Invalid{name}.NotFound",
        f"The specified {name} does not exist: {shown(value)}.",
        "Describe… lists what exists in your account.",
    )


def shown(value: str) -> str:
    """A value as a message repeats it: quoted, printable, and not longer than a line."""
    cut = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
    return ascii(cut) if not cut.isprintable() else f"'{cut}'"


def _flat(name: str) -> str:
    """DataDisk.1.Part.2.Device -> DataDiskPartDevice."""
    return "".join(part for part in name.split(".") if not part.isdigit())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
