"""A guest whose file systems lie on a partition, on LVM over two disks and on md RAID1: the disks below are
tracked, frozen together, and their copies equal them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from rehost.core.digest import ABSENT
from rehost.core.extent import Extent, subtract
from rehost.track.fsmap import free_extents
from tests.agent.copying import differing_bytes
from tests.cli.serving import until
from tests.guest.image import START
from tests.guest.job import GuestJob
from tests.guest.machine import Guest, booted
from tests.guest.passthrough import CONTENT
from tests.loopdisks import LoopDisks, open_folder, run
from tests.migration.ledger import CHUNK, Ledger

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

MIB = 1 << 20
SIZE = 24 * MIB
EXTENT = 4 * MIB  # of LVM, from 1 MiB on
NAMES = ("vda", "sda", "sdb", "sdc", "sdd")
FOLDERS = ("/srv/root", "/srv/lvm", "/srv/md")
MAKE = """
pvcreate --quiet /dev/sda /dev/sdb &&
vgcreate --quiet vg /dev/sda /dev/sdb &&
lvcreate --quiet --name data --extents 100%FREE vg &&
mdadm --create /dev/md0 --run --level=1 --metadata=1.0 --raid-devices=2 /dev/sdc /dev/sdd &&
mkdir -p /srv/root /srv/lvm /srv/md &&
mkfs.ext4 -q /dev/vg/data && mount /dev/vg/data /srv/lvm &&
mkfs.ext4 -q /dev/md0 && mount /dev/md0 /srv/md
"""
FEW, MANY = 5, 50


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Guest]:
    with booted(tmp_path_factory.mktemp("guest"), cache, (SIZE,) * 5) as made:
        made.run(MAKE)
        yield made


@pytest.mark.lab
def test_copies_of_a_root_and_of_stacked_disks_equal_the_frozen_ones(
    guest: Guest, tmp_path: Path, disks: LoopDisks
) -> None:
    """In the lab too: five copies of an emulated guest under torture take more than seven minutes."""
    many_times(guest, tmp_path, disks, FEW)


@pytest.mark.lab
@pytest.mark.timeout(7200)
def test_many_copies_of_a_root_and_of_stacked_disks(guest: Guest, tmp_path: Path, disks: LoopDisks) -> None:
    many_times(guest, tmp_path, disks, MANY)


def many_times(guest: Guest, folder: Path, disks: LoopDisks, times: int) -> None:
    with ExitStack() as stack:
        job = stack.enter_context(GuestJob(guest, NAMES, folder))
        for seed, torture in enumerate(FOLDERS):
            stack.enter_context(guest.tortured(torture, seed))
        tracked = 0
        for turn in range(times):
            if turn % 2 == 0:
                job.site.renew()
            tracked += copy_once(job, folder, disks)
            print(f"copy {turn + 1} is equal and checked", flush=True)
        print(f"{times} copies equal and checked, in {tracked} of them writes of all disks were tracked")
        assert tracked > 0


def copy_once(job: GuestJob, folder: Path, disks: LoopDisks) -> bool:
    frozen = [folder / f"frozen-{name}.img" for name in NAMES]

    def keep() -> None:
        for name, image in zip(NAMES, frozen, strict=True):
            run("cp", "--sparse=always", job.guest.disks[name], image)

    report = job.carry_out(keep)
    for one, other in zip(
        file_systems(frozen, folder / "one"), file_systems(job.replicas, folder / "other"), strict=True
    ):
        assert differing_bytes(one, other, used(one, disks)) == []
        run("e2fsck", "-fn", other)
    for one, other in list(zip(frozen, job.replicas, strict=True))[:3]:  # before partition and logical volume
        assert differing_bytes(one, other, [Extent(0, MIB)]) == []
    assert {part.way for part in report.consistency} == {"frozen"}
    for point, devices in {"/": ["0_0"], "/srv/lvm": ["1_0", "2_0"], "/srv/md": ["3_0", "4_0"]}.items():
        told = [part.device for part in report.consistency if f"ext4 on {point} frozen" in part.reason]
        assert told == devices
    return all("writes were tracked (typed programs)" in part.reason for part in report.consistency)


def file_systems(disks: list[Path], folder: Path) -> list[Path]:
    """The root, the logical volume put together of its two disks, and each half of the mirror, as images."""
    folder.mkdir(exist_ok=True)
    root, one, two, *halves = disks
    partition, volume = folder / "partition.img", folder / "volume.img"
    run("dd", f"if={root}", f"of={partition}", "bs=1M", f"skip={START // MIB}", "conv=sparse")
    with volume.open("wb") as file:
        for disk in (one, two):
            content = disk.read_bytes()[MIB:]
            file.write(content[: len(content) // EXTENT * EXTENT])
    return [partition, volume, *halves]


def used(image: Path, disks: LoopDisks) -> list[Extent]:
    """What is not free in a frozen file system, as this host's kernel tells.

    Not all of it: ext4 goes on with trims of free blocks while it is frozen.
    """
    with (
        disks.attached(image) as device,
        disks.mounted(device, "-t", "ext4", "-o", "ro,noload") as mount,
        open_folder(mount) as fd,
    ):
        free = free_extents(fd, mount.stat().st_dev)
    assert free
    return subtract(Extent(0, image.stat().st_size), free)


def test_a_write_past_the_block_layer_is_named_and_found_by_comparing(guest: Guest, tmp_path: Path) -> None:
    """Into what LVM has no use for, of a disk that is read whole, after it was read."""
    sector = MIB // 512 - 1
    guest.run("dd if=/dev/urandom of=/dev/sde bs=1M conv=fsync count=24 && pvcreate --quiet /dev/sde")
    with GuestJob(guest, ("sde",), tmp_path) as job, ThreadPoolExecutor(1) as beside:
        carried_out = beside.submit(job.carry_out, rate=2.0 * MIB)
        until(lambda: durable(job) >= MIB // CHUNK, "the first MiB is durable")
        guest.run(f"python3 /opt/passthrough.py /dev/sde {sector}")
        report = carried_out.result(120)
        with job.replicas[0].open("rb") as replica:
            replica.seek(sector * 512)
            assert replica.read(512) == CONTENT
    (part,) = report.consistency
    assert "1 commands with data came past the block layer (SG_IO" in part.reason
    assert report.rounds[1].read == SIZE


def durable(job: GuestJob) -> int:
    """Chunks from the beginning of the first disk."""
    entries = Ledger(job.site.folder).entries
    return next((chunk for (volume, chunk), entry in entries.items() if entry == ABSENT), len(entries))


def test_the_next_way_is_taken_and_told_where_programs_are_not_permitted(
    guest: Guest, tmp_path: Path
) -> None:
    with GuestJob(guest, ("sdc",), tmp_path) as job:
        report = job.carry_out(prefix="python3 without_bpf.py")
    (part,) = report.consistency
    assert "writes are not tracked: typed programs: the kernel refuses" in part.reason
