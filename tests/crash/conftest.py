"""Sites to crash: on this host's file system, and on one that loses what was not synced."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count
from pathlib import Path

import pytest

from rehost.block.crashpoint import VARIABLE
from tests.crash.powerloss import PowerSupply, power_supply
from tests.crash.site import SIZE, Site
from tests.loopdisks import LoopDisks


@pytest.fixture
def site(tmp_path: Path, cache: Path, disks: LoopDisks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "crash"))
    with closing(Site(tmp_path, cache, disks.make(SIZE).path, tmp_path)) as made:
        made.start()
        yield made
    made.check_all_released()


@pytest.fixture
def power(tmp_path: Path) -> Iterator[PowerSupply]:
    with power_supply(tmp_path / "disk") as supply:
        yield supply


@pytest.fixture
def volatile_site(
    power: PowerSupply, tmp_path: Path, cache: Path, disks: LoopDisks, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """Where a process dies the power of the host goes; of the unsynced nothing survives, later parts."""
    seeds = chain([None], count())
    disk = disks.make(SIZE).path

    def all_fall() -> None:
        power.lose(next(seeds))

    monkeypatch.setenv(VARIABLE, str(tmp_path / "crash"))
    with closing(Site(tmp_path, cache, disk, power.point, all_fall)) as made:
        made.start()
        yield made
    made.check_all_released()
