"""A guest whose root is on LVM: its copies equal the frozen disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest import lvmroot
from tests.guest.copies import MANY, Layout, many_times, part_of
from tests.guest.machine import Guest, booted
from tests.loopdisks import LoopDisks

pytestmark = pytest.mark.vm

LAYOUT = Layout(
    names=("vda",),
    points={"/": ["0_0"]},
    folders=("/srv",),
    heads={"vda": lvmroot.START},
    file_systems=lambda disks, folder: [part_of(disks[0], lvmroot.START, folder / "root.img")],
)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Guest]:
    with booted(tmp_path_factory.mktemp("guest"), cache, (), lvm=True) as made:
        yield made


@pytest.mark.lab
def test_copies_of_a_root_on_lvm_equal_the_frozen_disk(
    guest: Guest, tmp_path: Path, disks: LoopDisks
) -> None:
    assert guest.run("lvs --noheadings -o lv_path") == "/dev/vg/root"
    many_times(guest, LAYOUT, tmp_path, disks, 2)


@pytest.mark.lab
@pytest.mark.timeout(3600)
def test_many_copies_of_a_root_on_lvm(guest: Guest, tmp_path: Path, disks: LoopDisks) -> None:
    many_times(guest, LAYOUT, tmp_path, disks, MANY)
