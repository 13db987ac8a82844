"""A guest whose file systems lie on a partition, on LVM over two disks and on md RAID1: the disks below are
tracked, frozen together, and their copies equal them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.serving import until
from tests.guest.copies import FEW, MANY, Layout, many_times, part_of
from tests.guest.image import START
from tests.guest.job import GuestJob
from tests.guest.machine import Guest, booted
from tests.guest.passthrough import CONTENT
from tests.loopdisks import LoopDisks

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

MIB = 1 << 20
SIZE = 24 * MIB
EXTENT = 4 * MIB  # of LVM, from 1 MiB on
SUPERBLOCK = SIZE - (8 << 10)  # of md, metadata 1.0
MAKE = """
pvcreate --quiet /dev/sda /dev/sdb &&
vgcreate --quiet vg /dev/sda /dev/sdb &&
lvcreate --quiet --name data --extents 100%FREE vg &&
mdadm --create /dev/md0 --run --level=1 --metadata=1.0 --raid-devices=2 /dev/sdc /dev/sdd &&
mkdir -p /srv/root /srv/lvm /srv/md &&
mkfs.ext4 -q /dev/vg/data && mount /dev/vg/data /srv/lvm &&
mkfs.ext4 -q /dev/md0 && mount /dev/md0 /srv/md
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Guest]:
    with booted(tmp_path_factory.mktemp("guest"), cache, (SIZE,) * 5) as made:
        made.run(MAKE)
        yield made


def file_systems(disks: list[Path], folder: Path) -> list[Path]:
    """The root, the logical volume put together of its two disks, and each half of the mirror."""
    root, one, two, *halves = disks
    volume = folder / "volume.img"
    with volume.open("wb") as file:
        for disk in (one, two):
            content = disk.read_bytes()[MIB:]
            file.write(content[: len(content) // EXTENT * EXTENT])
    mirror = [_without_superblock(half, folder / f"half-{number}.img") for number, half in enumerate(halves)]
    return [part_of(root, START, folder / "partition.img"), volume, *mirror]


def _without_superblock(half: Path, target: Path) -> Path:
    """What the file system has of a half of the mirror.

    md writes its own superblock a moment after the last write, below any freeze: once in a hundred copies one
    half was read with the array marked as in use (events 18), and written as clean (17) within the freeze. md
    takes halves of which one is an event ahead.
    """
    with half.open("rb") as whole, target.open("wb") as cut:
        cut.write(whole.read(SUPERBLOCK))
    return target


LAYOUT = Layout(
    names=("vda", "sda", "sdb", "sdc", "sdd"),
    points={"/": ["0_0"], "/srv/lvm": ["1_0", "2_0"], "/srv/md": ["3_0", "4_0"]},
    folders=("/srv/root", "/srv/lvm", "/srv/md"),
    heads={"vda": START, "sda": MIB, "sdb": MIB},
    file_systems=file_systems,
)


def test_copies_of_a_root_and_of_stacked_disks_equal_the_frozen_ones(
    guest: Guest, tmp_path: Path, disks: LoopDisks
) -> None:
    many_times(guest, LAYOUT, tmp_path, disks, FEW)


@pytest.mark.lab
@pytest.mark.timeout(3600)
def test_many_copies_of_a_root_and_of_stacked_disks(guest: Guest, tmp_path: Path, disks: LoopDisks) -> None:
    many_times(guest, LAYOUT, tmp_path, disks, MANY)


def test_a_write_past_the_block_layer_is_named_and_found_by_comparing(guest: Guest, tmp_path: Path) -> None:
    """Into what LVM has no use for, of a disk that is read whole, after it was read."""
    sector = MIB // 512 - 1
    guest.run("dd if=/dev/urandom of=/dev/sde bs=1M conv=fsync count=24 && pvcreate --quiet /dev/sde")
    with GuestJob(guest, ("sde",), tmp_path) as job, ThreadPoolExecutor(1) as beside:
        carried_out = beside.submit(job.carry_out, rate=2.0 * MIB)
        until(lambda: job.durable() >= MIB, "the first MiB is durable")
        guest.run(f"python3 /opt/passthrough.py /dev/sde {sector}")
        report = carried_out.result(120)
        with job.replicas[0].open("rb") as replica:
            replica.seek(sector * 512)
            assert replica.read(512) == CONTENT
    (part,) = report.consistency
    assert "1 commands with data came past the block layer (SG_IO" in part.reason
    assert report.rounds[1].read == SIZE


def test_the_next_way_is_taken_and_told_where_programs_are_not_permitted(
    guest: Guest, tmp_path: Path
) -> None:
    with GuestJob(guest, ("sdc",), tmp_path) as job:
        report = job.carry_out(prefix="python3 without_bpf.py")
    (part,) = report.consistency
    assert "writes are not tracked: typed programs: the kernel refuses" in part.reason
