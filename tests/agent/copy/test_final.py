"""The last round's own decisions."""

import os
from pathlib import Path

import pytest

from rehost.agent.copy.run import Settings
from rehost.block.layer import chain
from rehost.core.digest import SIZE
from rehost.core.errors import DigestMismatchError
from tests.agent.copying import Lab, lab
from tests.loopdisks import LoopDisks

MIB = 1 << 20


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
