from pathlib import Path

import pytest

from rehost.compute.local import LocalDriver
from tests.compute import tinyguest
from tests.compute.tinyguest import TinyGuest


@pytest.fixture(scope="session")
def tiny(cache: Path) -> TinyGuest:
    return tinyguest.build(cache)


@pytest.fixture
def local(tmp_path: Path) -> LocalDriver:
    return LocalDriver(tmp_path / "data")
