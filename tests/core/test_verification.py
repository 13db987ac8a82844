"""Which of content and journal is right, by the root; and where an extent lies."""

import pytest

from rehost.core.extent import Extent
from rehost.core.server import Disk, Partition
from rehost.core.verification import Comparison, Finding, judge, places

RIGHT, WRONG = b"r" * 32, b"w" * 32
SOME = (Extent(0, 10),)


@pytest.mark.parametrize(
    ("journal", "content", "differing", "present", "finding"),
    [
        (RIGHT, RIGHT, (), 100, Finding.EQUAL),
        (RIGHT, WRONG, SOME, 100, Finding.DATA),
        (RIGHT, RIGHT, (), 90, Finding.DATA),  # cut off where there were zeroes
        (WRONG, RIGHT, SOME, 100, Finding.JOURNAL),
        (WRONG, RIGHT, SOME, 90, Finding.BOTH),
        (WRONG, WRONG, SOME, 100, Finding.BOTH),
        (WRONG, WRONG, (), 100, Finding.BOTH),  # they agree, and neither is what the source had
    ],
)
def test_the_root_tells_which_side_is_right(
    journal: bytes, content: bytes, differing: tuple[Extent, ...], present: int, finding: Finding
) -> None:
    assert judge(Comparison(0, 100, present, 100, differing, content), journal, RIGHT) is finding


def test_the_partitions_of_an_extent() -> None:
    parts = (Partition(0, "/dev/sda1", 10, 20, "ext4", mount="/boot"), Partition(1, "/dev/sda2", 30, 50))
    disk = Disk(0, "/dev/sda", 100, "dos", partitions=parts)
    assert list(places(Extent(0, 10), disk)) == []
    assert list(places(Extent(29, 31), disk)) == ["0_0 /dev/sda1 ext4 /boot", "0_1 /dev/sda2"]
    assert list(places(Extent(29, 31), None)) == []
