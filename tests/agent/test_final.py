"""The last round's own decisions."""

import os
from pathlib import Path

import pytest

from rehost.agent.final import check_feasible
from rehost.agent.run import Settings
from rehost.block.layer import chain
from rehost.core.digest import SIZE
from rehost.core.errors import DigestMismatchError, FreezeError
from rehost.core.round import RoundKind, RoundReport
from tests.agent.copying import Lab, lab
from tests.loopdisks import LoopDisks

MIB = 1 << 20


def done(read: int, seconds: float) -> RoundReport:
    return RoundReport(RoundKind.DELTA, 2, read, 0, 0, seconds)


def test_a_freeze_that_must_end_in_vain_is_not_begun() -> None:
    with pytest.raises(FreezeError, match="takes about 1000 s; the freeze deadline is 60 s"):
        check_feasible([done(50_000, 100.0), done(1_000_000, 1000.0)], 60.0)


def test_the_best_rate_counts_as_sending_slows_rounds() -> None:
    check_feasible([done(100_000, 10.0), done(100_000, 1000.0)], 60.0)
    check_feasible([done(0, 0.0)], 60.0)


def falsify(site: Lab, chunk: int) -> None:
    """Another digest for one chunk, as if its content had been written over unnoticed."""
    with chain(site.site.folder)[0].journal(0).open("r+b") as journal:
        journal.seek(chunk * SIZE)
        journal.write(os.urandom(SIZE))


def test_a_replica_that_turns_out_different_is_compared_again(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(60 * MIB, "ext4")
    calls = []
    with lab(tmp_path, disk) as site:

        def while_frozen() -> None:
            calls.append(1)
            if len(calls) == 1:
                falsify(site, 5)

        report = site.carry_out(Settings(while_frozen=while_frozen))
        assert len(calls) == 2
        assert report.rounds[-1].changed > 0
        site.carry_out()


def test_a_replica_that_stays_different_fails_the_run(disks: LoopDisks, tmp_path: Path) -> None:
    disk = disks.make(60 * MIB, "ext4")
    chunks = iter(range(5, 100))  # another one each time: what differs is sent again
    with (
        lab(tmp_path, disk) as site,
        pytest.raises(DigestMismatchError, match=r"\(attempt 3 of 3\)"),
    ):
        site.carry_out(Settings(while_frozen=lambda: falsify(site, next(chunks))))
