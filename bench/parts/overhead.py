"""What tracking costs whoever writes: fio with and without it, in turns."""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

from bench.plan import Plan
from bench.result import Paired
from rehost.track import ladder
from tests.loopdisks import loop_disks

_SIZE = 1 << 30


def tracking(plan: Plan) -> Paired:
    """On a loop disk in memory: no real disk is so fast, so none can lose more."""
    pairs = 10 if plan.quick else 40
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else plan.folder
    with ExitStack() as stack:
        scratch = stack.enter_context(Plan(folder, 0, 0, plan.quick).scratch())
        disk = stack.enter_context(loop_disks(scratch)).make(_SIZE)
        _writes(disk.path, 2.0)  # so that all of it is there
        found = [_pair(disk.path, disk.number, number) for number in range(pairs)]
    return Paired(
        "tracking",
        "Overhead of write tracking",
        f"fio, 4 KiB random writes by direct I/O at full speed to a loop disk in memory, {pairs} pairs",
        "writes a second",
        tuple(pair[0] for pair in found),
        tuple(pair[1] for pair in found),
    )


def _pair(path: str, number: int, turn: int) -> tuple[float, float]:
    """(untracked, tracked); which comes first changes."""
    if turn % 2:
        tracked = _tracked(path, number)
        return _writes(path), tracked
    return _writes(path), _tracked(path, number)


def _tracked(path: str, number: int) -> float:
    tracker = ladder.track(number)
    try:
        return _writes(path)
    finally:
        tracker.stop()


def _writes(path: str, seconds: float = 1.5) -> float:
    """Writes a second."""
    done = subprocess.run(
        [
            "fio", "--name=writes", f"--filename={path}", "--rw=randwrite", "--bs=4k", "--direct=1",
            "--ioengine=libaio", "--iodepth=32", "--time_based", f"--runtime={seconds}", "--norandommap",
            "--randrepeat=0", "--output-format=json",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)["jobs"][0]["write"]["iops"])
