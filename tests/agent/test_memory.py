"""Disks of 4 TiB with file systems in very many pieces: agent and receiver need little memory for them."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rehost.agent.copy import checkpoint
from rehost.core.agentapi import RunOptions, RunReport
from rehost.core.extents import MOST
from rehost.core.round import RoundKind
from tests.agent import agent_process
from tests.agent.agent_process import Outcome, Task, peak_memory
from tests.agent.copying import Lab, lab
from tests.loopdisks import LoopDisk, LoopDisks

MIB = 1 << 20
BLOCK = 4096
BOUND = 150 * MIB
HOLES = MOST // 2 + 20_000  # two disks share the bound
PUNCH = 1 | 2  # keep the size, punch a hole
OPTIONS = {
    # Little metadata is written, and it lies together: what it costs ext4 to tell its free blocks grows with
    # the number of places that its metadata lies in.
    "ext4": ("-q", "-J", "size=64", "-N", "100000", "-G", "1024", "-E", "nodiscard"),
    "xfs": ("-q", "-K", "-l", "size=64m"),
}
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def made(disks: LoopDisks, kind: str) -> LoopDisk:
    """4 TiB, with more free extents than are kept, and files all over."""
    disk = disks.make(4 << 40, kind, OPTIONS[kind])
    assert disk.mount is not None
    for number in range(300):
        folder = disk.mount / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(os.urandom(300_000))
    fd = os.open(disk.mount / "holes", os.O_RDWR | os.O_CREAT)
    assert _LIBC.fallocate(fd, 0, 0, HOLES * 4 * BLOCK) == 0
    for number in range(HOLES):
        assert _LIBC.fallocate(fd, PUNCH, number * 4 * BLOCK, (1 + number % 2) * BLOCK) == 0
    os.fsync(fd)
    os.close(fd)
    return disk


def carried_out(site: Lab, state: Path) -> tuple[int, RunReport]:
    """The agent's peak memory in bytes, and its report."""
    ca = (site.site.data / "keys" / "server.crt").read_text()
    task = msgspec.json.encode(Task(site.assignment, ca, state=str(state))).decode()
    done = subprocess.run(
        [sys.executable, agent_process.__file__, task],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        timeout=900,
        check=True,
    )
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    assert outcome.report is not None, outcome.error
    return outcome.peak, outcome.report


@pytest.mark.lab
def test_the_memory_of_agent_and_receiver_is_bounded(disks: LoopDisks, tmp_path: Path) -> None:
    """A whole run of 4 TiB of ext4 and 4 TiB of xfs, and one that builds on it."""
    state = tmp_path / "state"
    state.mkdir()
    both = [made(disks, kind) for kind in OPTIONS]
    try:
        with lab(tmp_path, *both, options=RunOptions(streams=2, freeze_deadline=120.0)) as site:
            first, report = carried_out(site, state)
            for disk in both:
                assert disk.mount is not None
                (disk.mount / "new").write_bytes(os.urandom(MIB))
            site.base_roots = report.roots
            second, next_report = carried_out(site, state)
            assert site.site.process is not None
            receiver = peak_memory(str(site.site.process.pid))
    finally:
        checkpoint.forget(state)
    mebibytes = [peak >> 20 for peak in (first, second, receiver)]
    print("peak memory in MiB: agent {}, in the next run {}, receiver {}".format(*mebibytes))
    assert next_report.rounds[0].kind is RoundKind.DELTA
    assert next_report.read < report.read / 10
    assert max(first, second, receiver) < BOUND, (first, second, receiver)
