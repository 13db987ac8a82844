"""The guest side has nothing but Python's standard library around it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehost.convert.job_tar import GUEST_CODE

SOURCES = sorted(GUEST_CODE.glob("*.py"))


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"{source.name} reaches out of the guest's package"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_it_imports_the_standard_library_only(source: Path) -> None:
    foreign = {name for name in imported(source) if name.split(".")[0] not in sys.stdlib_module_names}
    assert not foreign


def test_there_is_code_to_look_at() -> None:
    assert len(SOURCES) > 10
