"""The error tree: codes are unique and go through a report and back."""

import pytest

from rehost.core import errors
from rehost.core.errors import RehostError, ReportedError, code_of, reported


def tree(root: type[RehostError]) -> list[type[RehostError]]:
    return [root, *(found for cls in root.__subclasses__() for found in tree(cls))]


CLASSES = [cls for cls in tree(RehostError) if cls.__module__ == errors.__name__]
CODED = [cls for cls in CLASSES if cls not in (RehostError, ReportedError)]


def test_every_code_is_of_one_class() -> None:
    assert len({cls.code for cls in CODED} | {RehostError.code}) == len(CODED) + 1


@pytest.mark.parametrize("cls", CODED)
def test_a_reported_error_is_of_the_class_of_its_code(cls: type[RehostError]) -> None:
    error = reported(cls.code, "what", "advice")
    assert type(error) is cls
    assert (code_of(error), error.what, error.advice, str(error)) == (
        cls.code,
        "what",
        "advice",
        "what: advice",
    )


def test_unknown_codes_are_kept() -> None:
    error = reported("Future.Code", "what")
    assert (type(error), code_of(error), str(error)) == (ReportedError, "Future.Code", "what")
    assert code_of(ValueError("x")) == code_of(RehostError("x")) == "InternalError"
