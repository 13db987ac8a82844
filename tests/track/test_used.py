"""What has to be copied of a partitioned disk."""

import mmap
import os

from rehost.block.file import open_source
from rehost.core.extent import Extent, intersect, total
from rehost.core.server import Disk, Partition
from rehost.track.mounts import mounted_on, open_on
from rehost.track.used import DiskUse, swap_header, use_of
from tests.loopdisks import LoopDisk, LoopDisks, run

MIB = 1 << 20


def partitioned(disks: LoopDisks) -> tuple[LoopDisk, Disk]:
    """ext4 and swap, each 100 MiB, and a gap at either end."""
    disk = disks.make(256 * MIB)
    run("sh", "-c", f"printf '2048,204800\\n,204800,S\\n' | sfdisk -q {disk.path}")
    run("partx", "--update", disk.path)  # for kernels that do not read partition tables themselves
    partitions = tuple(
        Partition(number, f"{disk.path}p{number + 1}", MIB + number * 100 * MIB, 100 * MIB, kind)
        for number, kind in enumerate(("ext4", "swap"))
    )
    run("mkfs.ext4", "-q", partitions[0].path)
    run("mkswap", partitions[1].path)
    return disk, Disk(0, disk.path, 256 * MIB, "dos", partitions=partitions)


def use(disk: Disk) -> DiskUse:
    systems = mounted_on([os.stat(partition.path).st_rdev for partition in disk.partitions])
    descriptors = {system: open_on(system) for system in systems}
    device = open_source(disk.path)
    try:
        return use_of(disk, device, descriptors, memoryview(mmap.mmap(-1, 64 << 10)))
    finally:
        device.close()
        for descriptor in descriptors.values():
            os.close(descriptor)


def test_an_unmounted_partition_is_read_whole_and_swap_as_its_header(disks: LoopDisks) -> None:
    _, disk = partitioned(disks)
    found = use(disk)
    swap = disk.partitions[1]
    assert found.used == (Extent(0, swap.start + 4096), Extent(swap.end, disk.size))
    assert [partition.reading for partition in found.partitions] == ["read whole", "swap-header"]


def test_a_mounted_partition_gives_its_free_blocks_and_the_gaps_stay(disks: LoopDisks) -> None:
    _, disk = partitioned(disks)
    disks.mount(disk.partitions[0].path)
    found = use(disk)
    first = disk.partitions[0]
    assert intersect(found.used, Extent(0, MIB + 4096)) == [Extent(0, MIB + 4096)]
    assert total(intersect(found.used, Extent(first.start, first.end))) < 30 * MIB
    assert found.partitions[0].reading == "used blocks only"
    assert [system.kind for system in found.partitions[0].systems] == ["ext4"]


def test_a_swap_area_without_its_signature_is_read_whole(disks: LoopDisks) -> None:
    _, disk = partitioned(disks)
    run("dd", "if=/dev/zero", f"of={disk.partitions[1].path}", "bs=64K", "count=1", "oflag=direct")
    assert use(disk).used == (Extent(0, disk.size),)


def test_the_header_is_found_at_every_page_size() -> None:
    for size in (4096, 8192, 16384, 65536):
        page = bytearray(65536)
        page[size - 10 : size] = b"SWAPSPACE2"
        assert swap_header(memoryview(page)) == size
    assert swap_header(memoryview(bytes(65536))) == 0
