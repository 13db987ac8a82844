"""Errors as the API answers them: with the codes of `codes.py`, and what a message has to say.

A message names the parameter, its value and what is allowed; `Recommend` in the reply is the next step.
"""

from rehost.api import codes
from rehost.api.codes import named
from rehost.api.spec import Fault
from rehost.core.errors import (
    DatabaseUnavailableError,
    DataFolderFullError,
    InvalidValueError,
    NoHostError,
    NotFoundError,
    RehostError,
    ReportedError,
    RequestTimeoutError,
    code_of,
)

_LONGEST_VALUE = 80  # characters of a value that a message repeats


class ApiError(ReportedError):
    """A request that is refused: HTTP status, code, message, and what to do next."""

    def __init__(
        self, status: int, code: str, message: str, recommend: str = "", retry_after: float = 0
    ) -> None:
        """`retry_after`: seconds until the same request may be accepted."""
        super().__init__(code, message, recommend)
        self.status = status
        self.retry_after = retry_after


def documented(code: str, detail: str = "", recommend: str = "", retry_after: float = 0) -> ApiError:
    """A code of the tables: the table's text, and then the case at hand."""
    known = codes.find(code)
    return ApiError(known.status, code, f"{known.text} {detail}".strip(), recommend, retry_after)


def refused(error: RehostError) -> ApiError | None:
    """An error of the layers below as an answer; None if it is not the caller's doing."""
    if isinstance(error, ApiError):
        return error
    code = code_of(error)
    if code in codes.OF_ACTIONS:
        return documented(code, _sentence(error.what), error.advice)
    if isinstance(error, NotFoundError | InvalidValueError):
        status = 404 if isinstance(error, NotFoundError) else 400
        return ApiError(status, code, _sentence(error.what), error.advice)
    if isinstance(error, RequestTimeoutError):
        return documented(code, _sentence(error.what), error.advice)
    if isinstance(error, DataFolderFullError | DatabaseUnavailableError | NoHostError):
        return documented("ServiceUnavailable", _sentence(error.what), error.advice)
    return None


def internal() -> ApiError:
    return documented("InternalError")


def missing(name: str, why: str = "", code: str = "") -> ApiError:
    return _fault(Fault.MISSING, name, f"{name} is mandatory for this action.", "", why, code)


def wrong_type(name: str, value: str, wanted: str) -> ApiError:
    """The text is not even of the parameter's type."""
    return documented("InvalidParameter.Format", f"{name}={shown(value)} is not {wanted}.")


def malformed(name: str, value: str, allowed: str, code: str = "") -> ApiError:
    detail = f"It is {shown(value)}. Allowed: {allowed}."
    return _fault(Fault.FORM, name, f"The specified parameter {name} is not valid.", detail, "", code)


def not_allowed(name: str, value: object, allowed: str, code: str = "") -> ApiError:
    """A value of the right form that the parameter does not take."""
    detail = f"It is {shown(str(value))}. Allowed: {allowed}."
    return _fault(Fault.VALUE, name, f"The specified value of {name} is not supported.", detail, "", code)


def not_yet(name: str, value: object, why: str, instead: str, code: str = "") -> ApiError:
    """A value that the documentation knows and this version does not carry out."""
    text = f"This version of rehost cannot do {name}={shown(str(value))} yet: {why}."
    return _fault(Fault.LATER, name, text, "", instead, code)


def too_many(name: str, most: int, got: str, code: str = "") -> ApiError:
    detail = f"{got} was given; the numbers cannot exceed {most}."
    return _fault(
        Fault.COUNT, name, f"The maximum number of the {name} parameters is exceeded.", detail, "", code
    )


def twice(name: str, value: str, code: str = "") -> ApiError:
    text = f"The {name} contains duplicate values."
    return _fault(Fault.TWICE, name, text, f"{shown(value)} comes again.", "", code)


def conflict(name: str, other: str) -> ApiError:
    return documented(
        "InvalidParameter.Conflict",
        f"{name} and {other} say the same thing.",
        f"Give one of {name} and {other}.",
    )


def not_found(name: str, value: str) -> ApiError:
    return ApiError(
        404,
        f"Invalid{name}.NotFound",
        f"The specified {name} does not exist. It is {shown(value)}.",
        "Describe… lists what exists in your account.",
    )


def _fault(fault: Fault, name: str, text: str, detail: str, recommend: str, code: str) -> ApiError:
    """With the parameter's own code, which has its text in the table, or with the one that its fault has in
    general."""
    code = code or named(fault, name)
    if code in codes.OF_ACTIONS:
        return documented(code, detail, recommend)
    return ApiError(400, code, f"{text} {detail}".strip(), recommend)


def shown(value: str) -> str:
    """A value as a message repeats it: quoted, printable, and not longer than a line."""
    cut = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
    return ascii(cut) if not cut.isprintable() else f"'{cut}'"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
