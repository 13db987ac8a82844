"""Fixtures of several parts' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopdisks import LoopDisks, loop_disks


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[LoopDisks]:
    """Real disks on loop devices; gone after the test."""
    with loop_disks(tmp_path) as made:
        yield made
