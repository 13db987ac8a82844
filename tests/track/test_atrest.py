"""A disk at rest tells its free blocks, and no trace of the question stays."""

import os
import subprocess
from pathlib import Path

import pytest

from rehost.agent.survey import disks as inventory
from rehost.agent.survey.host import Host
from rehost.block.file import open_source
from rehost.core.errors import SourceDiskChangedError
from rehost.core.extent import Extent, total
from rehost.track import atrest
from rehost.track.atrest import Rest
from tests.loopdisks import LoopDisks, run
from tests.processes import line_of, python

MIB = 1 << 20


def look(path: str) -> Rest:
    (disk,) = inventory.collect(Host(), [path])
    device = open_source(Path(path))
    try:
        return atrest.look_at(disk, device)
    finally:
        device.close()


def test_an_unmounted_file_system_tells_its_free_blocks(disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4", mounted=False)
    rest = look(disk.path)
    assert (rest.notes, rest.use.partitions[0].reading) == ((), "used blocks only")
    assert 0 < total(rest.use.used) < 16 * MIB


def test_what_is_no_file_system_is_used(disks: LoopDisks) -> None:
    disk = disks.make(MIB)
    assert look(disk.path).use.used == (Extent(0, MIB),)


def test_partitions_that_the_kernel_does_not_show(disks: LoopDisks, tmp_path: Path) -> None:
    image = tmp_path / "divided.img"
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    subprocess.run(["sfdisk", "-q", image], input="label: dos\nstart=2048\n", text=True, check=True)
    with disks.attached(image) as path, pytest.raises(SourceDiskChangedError, match="partprobe"):
        look(path)


def test_nothing_stays_mounted_when_it_is_killed(disks: LoopDisks) -> None:
    disk = disks.make(64 * MIB, "ext4", mounted=False)
    code = (
        "import sys, time; from pathlib import Path; from rehost.track.atrest import _descriptor_on\n"
        "with _descriptor_on(Path(sys.argv[1]), 'ext4', ['noload']):\n"
        "    print('open', flush=True); time.sleep(60)"
    )
    with python("-c", code, disk.path) as process:
        assert line_of(process)
        assert disk.path not in Path("/proc/self/mounts").read_text()
    run("e2fsck", "-fn", disk.path)
    os.close(os.open(disk.path, os.O_RDONLY | os.O_EXCL))  # nobody has it any more
