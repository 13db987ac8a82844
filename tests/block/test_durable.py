"""Leftovers of processes that died while they wrote a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rehost.block.crashpoint import VARIABLE
from rehost.block.durable import make_folder, sweep, write_file


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    """The old file stays, and what a process that lives is writing."""
    write_file(tmp_path / "file", b"old")
    order = tmp_path.with_name("crash")
    order.write_text("file.written")
    code = "import sys; from rehost.block.durable import *; write_file(Path(sys.argv[1]), b'new')"
    died = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file"], env={**os.environ, VARIABLE: str(order)}, check=False
    )
    assert died.returncode == -9
    alive = tmp_path / f".other.{os.getppid()}.new"
    alive.touch()
    assert len(list(tmp_path.iterdir())) == 3
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [alive, tmp_path / "file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_number_that_is_given_again_is_no_writer(tmp_path: Path) -> None:
    """In a container a program has the same number at every start."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / f".state.json.{os.getpid()}.new").touch()
    sweep(tmp_path)
    assert list((tmp_path / "below").iterdir()) == []


@pytest.mark.parametrize("name", [".hidden", "file.123.new", ".folder.new", ".000001.new"])
def test_nothing_else_is_swept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if "folder" in name or "00" in name else (tmp_path / name).touch()
    sweep(tmp_path)
    assert (tmp_path / name).exists()


def test_folders_are_made_with_those_above_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b" / "c", 0o700)
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
