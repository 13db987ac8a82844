"""The replica equals the source's frozen disk on every used block, under a writer, and fsck finds nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehost.agent.copy.run import Settings
from rehost.core.extent import Extent, subtract, total
from rehost.track.fsmap import free_extents
from tests.agent import writer
from tests.agent.copying import differing_bytes, lab, snapshot
from tests.loopdisks import LoopDisk, LoopDisks, open_folder, run
from tests.processes import end, line_of, python

MIB = 1 << 20
SIZES = {"ext4": 200 * MIB, "xfs": 300 * MIB}
FEW, MANY = 4, 20


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    with python(writer.__file__, folder, 1) as process:
        assert line_of(process)
        yield
        end(process, "end\n")


class Frozen:
    """What the disk and its used blocks were inside the freeze."""

    def __init__(self, disk: LoopDisk, image: Path) -> None:
        self._disk, self.image = disk, image
        self.used: list[Extent] = []

    def __call__(self) -> None:
        assert self._disk.mount is not None
        snapshot(self._disk, self.image)
        with open_folder(self._disk.mount) as fd:
            free = free_extents(fd, self._disk.number)
        assert free
        self.used = subtract(Extent(0, self._disk.size), free)


def check_ext4(replica: Path, disks: LoopDisks, copy: Path) -> None:
    run("e2fsck", "-fn", replica)


def check_xfs(replica: Path, disks: LoopDisks, copy: Path) -> None:
    """The log of a frozen xfs is not empty: a mount replays it, and then the check is exact."""
    run("cp", "--sparse=always", replica, copy)
    with disks.attached(copy) as device, disks.mounted(device, "-o", "nouuid"):
        pass
    run("xfs_repair", "-n", "-f", copy)


CHECKS = {"ext4": check_ext4, "xfs": check_xfs}


@pytest.mark.parametrize("times", [FEW, pytest.param(MANY, marks=pytest.mark.lab)])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_copies_under_a_writer_equal_the_frozen_disk(
    disks: LoopDisks, tmp_path: Path, kind: str, times: int
) -> None:
    disk = disks.make(SIZES[kind], kind)
    assert disk.mount is not None
    with lab(tmp_path, disk) as site, writing(disk.mount):
        changed = 0
        for _ in range(times):
            frozen = Frozen(disk, tmp_path / "frozen.img")
            report = site.carry_out(Settings(while_frozen=frozen))
            assert differing_bytes(frozen.image, site.replica(), frozen.used) == []
            assert 0 < total(frozen.used) < disk.size
            CHECKS[kind](site.replica(), disks, tmp_path / "copy.img")
            assert [c.way for c in report.consistency] == ["frozen"]
            changed += report.rounds[-1].changed
            site.renew()
        assert changed > 0  # the writer was at work until the freeze
