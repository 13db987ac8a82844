"""Partition tables, against sfdisk's word on what it made itself."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.agent.survey.parse import table
from rehost.agent.survey.parse.table import Entry, Table
from tests.loopdisks import run

MIB = 1 << 20
SIZE = 64 * MIB
LAYOUTS = {
    "dos": "label: dos\n1 : start=2048,size=8M,type=83\n2 : size=8M,type=82\n3 : size=40M,type=5\n"
    "5 : size=8M,type=83\n6 : size=8M,type=8e\n",
    "gpt": "label: gpt\nsize=8M,type=U\nsize=16M,type=L\nsize=4M,type=S\n",
    "gpt-with-gaps": "label: gpt\nsize=8M\n5 : size=8M\n9 : size=8M\n",
    "backwards": "label: dos\n2 : start=2048,size=8M\n1 : start=40960,size=8M\n",
}


def make(image: Path, layout: str) -> Path:
    with image.open("wb") as file:
        file.truncate(SIZE)
    script = image.with_suffix(".sfdisk")
    script.write_text(layout)
    run("sh", "-c", f"sfdisk -q {image} < {script}")
    return image


def parse(content: bytes, size: int = SIZE, sector: int = 512) -> Table | None:
    return table.parse(lambda offset, length: content[offset : offset + length], size, sector)


@pytest.mark.parametrize("name", LAYOUTS)
def test_agrees_with_sfdisk(name: str, tmp_path: Path) -> None:
    image = make(tmp_path / "disk", LAYOUTS[name])
    said = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    wanted = {
        (int(p["node"].removeprefix(str(image))), p["start"] * 512, p["size"] * 512)
        for p in said["partitions"]
    }
    found = parse(image.read_bytes())
    assert found is not None
    assert found.kind == said["label"]
    assert {(entry.number, entry.start, entry.size) for entry in found.entries} == wanted


def test_the_container_of_logical_partitions_is_no_partition(tmp_path: Path) -> None:
    found = parse(make(tmp_path / "disk", LAYOUTS["dos"]).read_bytes())
    assert found is not None
    assert [entry.number for entry in found.partitions] == [1, 2, 5, 6]


def test_partitions_come_in_the_disks_order(tmp_path: Path) -> None:
    found = parse(make(tmp_path / "disk", LAYOUTS["backwards"]).read_bytes())
    assert found is not None
    assert [entry.number for entry in found.partitions] == [2, 1]


def test_the_backup_stands_in_for_a_damaged_gpt(tmp_path: Path) -> None:
    content = bytearray(make(tmp_path / "disk", LAYOUTS["gpt"]).read_bytes())
    good = parse(bytes(content))
    content[512 + 40] ^= 1
    assert parse(bytes(content)) == good
    content[-512 + 40] ^= 1  # both damaged: no table, rather than a wrong one
    assert parse(bytes(content)) is None


def test_a_gpt_on_a_disk_with_large_sectors() -> None:
    """Built by hand: sfdisk takes the sector size from a device only."""
    entry = bytes([1]) * 16 + bytes(16) + struct.pack("<QQ", 256, 511) + bytes(80)
    header = bytearray(
        struct.pack("<8sIIII4Q16sQIII", b"EFI PART", 1 << 16, 92, 0, 0, 1, 0, 6, 9, b"", 2, 128, 128, 0)
    )
    header[16:20] = struct.pack("<I", zlib.crc32(header))
    protective = (
        bytes(446) + struct.pack("<4BB3BII", 0, 0, 2, 0, 0xEE, 0, 0, 0, 1, 9) + bytes(48) + b"\x55\xaa"
    )
    content = protective.ljust(4096, b"\0") + bytes(header).ljust(4096, b"\0") + entry.ljust(16384, b"\0")
    assert parse(content, sector=4096) == Table("gpt", (Entry(1, 1 * MIB, 1 * MIB),))


def test_a_chain_that_bites_its_tail_ends() -> None:
    def slot(kind: int, start: int, count: int) -> bytes:
        return struct.pack("<4B4BII", 0, 0, 0, 0, kind, 0, 0, 0, start, count)

    mbr = bytes(446) + slot(5, 64, 1000) + bytes(48) + b"\x55\xaa"
    ebr = bytes(446) + slot(0x83, 1, 10) + slot(5, 0, 64) + bytes(32) + b"\x55\xaa"
    content = mbr.ljust(64 * 512, b"\0") + ebr
    found = parse(content)
    assert found is not None
    assert len(found.partitions) <= 256


def test_a_fat_without_a_table_is_no_table(tmp_path: Path) -> None:
    """Its boot sector has the same signature, and code where an MBR has its slots."""
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(SIZE)
    run("mkfs.vfat", tmp_path / "disk")
    assert parse((tmp_path / "disk").read_bytes()) is None


def test_an_empty_disk_has_no_table() -> None:
    assert parse(bytes(4096)) is None
    assert parse(b"") is None


@given(st.binary(min_size=64, max_size=64), st.binary(max_size=2048))
def test_noise_never_breaks_it(slots: bytes, rest: bytes) -> None:
    found = parse(bytes(446) + slots + b"\x55\xaa" + rest)
    assert found is None or found.kind in ("dos", "gpt")
