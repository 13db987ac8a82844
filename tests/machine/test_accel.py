import subprocess
from pathlib import Path

import pytest

from rehost.machine import accel


def test_the_probe_runs_under_emulation_and_fails_where_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accel.probe(accel.EMULATION, 60)
    monkeypatch.setattr(accel, "BOOT_SECTOR", bytes.fromhex("faf4ebfc").ljust(510, b"\0") + b"\x55\xaa")
    assert accel.probe(accel.EMULATION, 2) is None


def test_an_unknown_accelerator_is_no_success() -> None:
    assert accel.probe("no-such-accelerator", 60) is None


def test_the_answer_is_kept_for_this_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = accel.choose(tmp_path / "cache")
    assert answer in (accel.KVM, accel.EMULATION)
    monkeypatch.setattr(accel, "probe", lambda *_: pytest.fail("asked again"))
    assert accel.choose(tmp_path / "cache") == answer
    (kept,) = (tmp_path / "cache").iterdir()
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() in kept.name


@pytest.mark.parametrize(
    ("emulation", "asked", "chosen"),
    [(0.1, 0.2, True), (0.1, 2.1, False), (0.1, None, False), (None, 0.2, True), (None, None, False)],
)
def test_an_accelerator_that_needs_many_times_the_cpu_of_emulation_is_none(
    monkeypatch: pytest.MonkeyPatch, emulation: float | None, asked: float | None, chosen: bool
) -> None:
    monkeypatch.setattr(accel, "probe", lambda which, _: emulation if which != accel.KVM else asked)
    assert accel._is_fast(accel.KVM) is chosen


def test_the_boot_sector_is_what_its_assembly_says(tmp_path: Path) -> None:
    code = tmp_path / "probe.bin"
    source = Path(__file__).with_name("probe.S")
    try:
        subprocess.run(["as", "-o", tmp_path / "probe.o", source], check=True)
    except FileNotFoundError:
        pytest.skip("binutils is not installed")
    subprocess.run(
        ["ld", "-Ttext", "0x7c00", "--oformat", "binary", "-o", code, tmp_path / "probe.o"], check=True
    )
    assert code.read_bytes().ljust(510, b"\0") + b"\x55\xaa" == accel.BOOT_SECTOR
