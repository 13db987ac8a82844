"""The file system that forgets does what it says, seen through the kernel."""

import os

import pytest

from rehost.block.durable import sync_file, sync_folder, write_file
from tests.crash.powerloss import PowerSupply


def test_what_was_synced_is_there_and_the_rest_is_not(power: PowerSupply) -> None:
    disk = power.point
    safe, half, named = disk / "safe", disk / "half", disk / "named"
    for file in (safe, half, named):
        file.write_bytes(b"1" * 5000)
    sync_file(safe)
    sync_file(half)
    sync_folder(disk)
    half.write_bytes(b"22")
    (disk / "never").write_bytes(b"3")
    sync_file(disk / "never")
    safe.rename(disk / "moved")
    power.lose()
    assert sorted(os.listdir(disk)) == ["half", "named", "safe"]
    assert [safe.read_bytes(), half.read_bytes(), named.read_bytes()] == [b"1" * 5000, b"1" * 5000, b""]


def test_a_folder_is_gone_with_all_in_it_unless_its_name_is_safe(power: PowerSupply) -> None:
    for name in ("kept", "lost"):
        (power.point / name).mkdir()
        write_file(power.point / name / "file", b"content")
    sync_folder(power.point)
    (power.point / "later").mkdir()
    write_file(power.point / "later" / "file", b"content")
    (power.point / "lost").rename(power.point / "renamed")
    sync_folder(power.point)
    power.lose()
    assert sorted(os.listdir(power.point)) == ["kept", "later", "renamed"]
    assert (power.point / "renamed" / "file").read_bytes() == b"content"


@pytest.mark.parametrize("seed", range(2))
def test_a_part_may_survive(power: PowerSupply, seed: int) -> None:
    """By sectors, and names one by one; a move is whole."""
    file = power.point / "file"
    file.write_bytes(b"o" * 4096)
    sync_file(file)
    sync_folder(power.point)
    file.write_bytes(b"n" * 4096)
    for number in range(20):
        (power.point / f"{number}.new").touch()
        (power.point / f"{number}.new").rename(power.point / str(number))
    power.lose(seed)
    content = file.read_bytes()
    assert {content[start : start + 512] for start in range(0, 4096, 512)} <= {
        b"o" * 512, b"n" * 512, bytes(512), b"",
    }  # fmt: skip
    assert 1 < len(os.listdir(power.point)) < 21


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_what_was_replaced_in_a_durable_way_stays_so(power: PowerSupply, seed: int | None) -> None:
    file = power.point / "file"
    write_file(file, b"old" * 1000)
    write_file(file, b"new" * 1000)
    power.lose(seed)
    assert file.read_bytes() == b"new" * 1000
    assert os.listdir(power.point) == ["file"]
