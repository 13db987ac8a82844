from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.world import World


@pytest.fixture
def world(tmp_path: Path, records: Path | str) -> Iterator[World]:
    opened = World(tmp_path, records)
    yield opened
    opened.close()
