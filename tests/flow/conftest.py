from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flow.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = World(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def engine_log(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
