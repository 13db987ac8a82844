"""Disks that are treated badly, what they were in a freeze, and whether their copies are that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehost.core.extent import Extent, subtract
from rehost.track.used import MAPS
from tests.agent import torture
from tests.agent.copying import Lab, differing_bytes, snapshot
from tests.loopdisks import LoopDisk, LoopDisks, open_folder, run
from tests.processes import end, line_of, python

MIB = 1 << 20
SIZES = {"ext4": 200 * MIB, "xfs": 300 * MIB, "btrfs": 300 * MIB}
CHECKS = {
    "ext4": ("e2fsck", "-fn"),
    "xfs": ("xfs_repair", "-n", "-f"),
    "btrfs": ("btrfs", "check", "--check-data-csum"),  # all data, by sums that btrfs made when it was written
}


@contextmanager
def tortured(folder: Path, seed: int) -> Iterator[None]:
    with python(torture.__file__, folder, seed) as process:
        assert line_of(process) == "begun\n"
        yield
        end(process)


class Frozen:
    """What the disks and their used blocks were inside the freeze."""

    def __init__(self, folder: Path, disks: tuple[LoopDisk, ...], kinds: tuple[str, ...]) -> None:
        self._disks, self._kinds = disks, kinds
        self._scratch = folder / "copy.img"
        self.images = [folder / f"frozen-{number}.img" for number in range(len(disks))]
        self.used: list[list[Extent]] = []

    def __call__(self) -> None:
        self.used = [used(disk, kind) for disk, kind in zip(self._disks, self._kinds, strict=True)]
        for disk, image in zip(self._disks, self.images, strict=True):
            snapshot(disk, image)

    def check(self, site: Lab, disks: LoopDisks) -> None:
        """The replicas are equal to them on every used block, and whole for the file systems' own checks."""
        for number, kind in enumerate(self._kinds):
            replica = site.replica(number)
            assert differing_bytes(self.images[number], replica, self.used[number]) == []
            check(kind, replica, disks, self._scratch)


def used(disk: LoopDisk, kind: str) -> list[Extent]:
    assert disk.mount is not None
    with open_folder(disk.mount) as fd:
        free = MAPS[kind](fd, disk.number)
    assert free
    return subtract(Extent(0, disk.size), free)


def check(kind: str, replica: Path, disks: LoopDisks, copy: Path) -> None:
    """What the journal holds is replayed first where the check does not do it itself."""
    run("cp", "--sparse=always", replica, copy)
    if kind == "xfs":
        with disks.attached(copy) as device, disks.mounted(device, "-o", "nouuid"):
            pass
    run(*CHECKS[kind], copy)
