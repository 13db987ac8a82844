"""Tracked copies of disks that are treated badly: while frozen, source and replica are equal on every used
block, and the file system's own check finds nothing."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.agent.copy.run import Settings
from rehost.core.agentapi import RunOptions, RunReport
from rehost.track import ladder
from rehost.track.bpf import attach
from rehost.track.suspects import Suspects
from rehost.track.tracked import Tracked
from tests.agent.copying import Lab, lab
from tests.agent.tortured import SIZES, Frozen, tortured
from tests.loopdisks import LoopDisks, run

MIB = 1 << 20
OPTIONS = RunOptions(freeze_target=0.01, most_rounds=4)
FEW, MANY = 4, 50


def copy_once(
    site: Lab,
    disks: LoopDisks,
    kinds: tuple[str, ...],
    folder: Path,
    suspects: Callable[[], Suspects],
    state: Path | None = None,
) -> RunReport:
    frozen = Frozen(folder, site.disks, kinds)
    report = site.carry_out(Settings(while_frozen=frozen, suspects=suspects, state=state))
    frozen.check(site, disks)
    assert all(part.way == "frozen" for part in report.consistency)
    return report


def many_times(
    disks: LoopDisks,
    folder: Path,
    kinds: tuple[str, ...],
    times: int,
    suspects: Callable[[], Suspects] = Tracked,
    least: int = 1,
) -> None:
    """Each with an empty replica and then, over it, a run that finds most of it there."""
    made = tuple(disks.make(SIZES[kind], kind) for kind in kinds)
    with lab(folder, *made, options=OPTIONS) as site, ExitStack() as stack:
        for seed, (disk, kind) in enumerate(zip(made, kinds, strict=True)):
            assert disk.mount is not None
            if kind == "ext4":  # each way to discard: as files go, and by trims
                run("mount", "-o", "remount,discard", disk.mount)
            stack.enter_context(tortured(disk.mount, seed))
        changed = tracked = 0
        for turn in range(times):
            if turn % 2 == 0:
                site.renew()
            report = copy_once(site, disks, kinds, folder, suspects)
            changed += report.rounds[-1].changed
            tracked += all("writes were tracked (" in part.reason for part in report.consistency)
        assert changed > 0  # the disks were not idle
        print(
            f"{'+'.join(kinds)}: {times} copies equal and checked, in {tracked} of them writes were tracked"
        )
        # Not all of them: kernels leave programs out now and then, and then digests have to be compared.
        assert tracked >= least


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_tracked_copies_equal_the_frozen_disk(disks: LoopDisks, tmp_path: Path, kind: str) -> None:
    many_times(disks, tmp_path, (kind,), FEW)


def test_several_disks_of_one_job(disks: LoopDisks, tmp_path: Path) -> None:
    many_times(disks, tmp_path, ("ext4", "xfs", "btrfs"), FEW)


def test_with_classic_tracepoints(disks: LoopDisks, tmp_path: Path) -> None:
    def suspects() -> Tracked:
        return Tracked(lambda number: ladder.track(number, [attach.CLASSIC]))

    # One guard for all programs of a CPU: under load the audit may find something left out every time.
    many_times(disks, tmp_path, ("ext4",), FEW, suspects, least=0)


@pytest.mark.lab
@pytest.mark.parametrize("kinds", [("ext4",), ("xfs",), ("btrfs",), ("ext4", "xfs", "btrfs")], ids="+".join)
def test_many_tracked_copies_equal_the_frozen_disk(
    disks: LoopDisks, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    many_times(disks, tmp_path, kinds, MANY)
