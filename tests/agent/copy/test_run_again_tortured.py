"""Runs that build on one another, of disks that are treated badly all the time: after each the replica equals
the frozen disk, though only what was written since the one before is read."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.agent.copy import checkpoint
from rehost.core.round import RoundKind
from rehost.track.tracked import Tracked
from tests.agent.copying import lab
from tests.agent.test_torture import FEW, MANY, OPTIONS, SIZES, copy_once, tortured
from tests.loopdisks import LoopDisks, run


def built_on_one_another(disks: LoopDisks, folder: Path, kinds: tuple[str, ...], times: int) -> None:
    state = folder / "state"
    state.mkdir()
    made = tuple(disks.make(SIZES[kind], kind) for kind in kinds)
    built = 0
    with lab(folder, *made, options=OPTIONS) as site, ExitStack() as stack:
        stack.callback(checkpoint.forget, state)
        for seed, (disk, kind) in enumerate(zip(made, kinds, strict=True)):
            assert disk.mount is not None
            if kind == "ext4":
                run("mount", "-o", "remount,discard", disk.mount)
            stack.enter_context(tortured(disk.mount, seed))
        for _ in range(times):
            report = copy_once(site, disks, kinds, folder, Tracked, state)
            built += report.rounds[0].kind is RoundKind.DELTA
            site.base_roots = report.roots
    print(f"{'+'.join(kinds)}: {times} copies equal and checked, {built} of them built on the one before")
    # Not all of them: where the audit doubts, digests are compared.
    assert built >= 1


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_runs_that_build_on_one_another_equal_the_frozen_disk(
    disks: LoopDisks, tmp_path: Path, kind: str
) -> None:
    built_on_one_another(disks, tmp_path, (kind,), FEW)


@pytest.mark.lab
@pytest.mark.parametrize("kinds", [("ext4",), ("xfs",), ("btrfs",), ("ext4", "xfs", "btrfs")], ids="+".join)
def test_many_runs_that_build_on_one_another_equal_the_frozen_disk(
    disks: LoopDisks, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    built_on_one_another(disks, tmp_path, kinds, MANY)
