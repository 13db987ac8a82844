"""What tracking costs whoever writes: fio with and without it, in turns, and the programs' own time."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.plan import Plan
from bench.result import Paired
from rehost.track import ladder
from rehost.track.tracker import Tracker
from tests.loopdisks import loop_disks

_SIZE = 1 << 30
_SLICE = 0.5  # seconds of writing: short, so that both of a pair meet the same load of the machine
_STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")  # since Linux 5.1


def tracking(plan: Plan) -> Paired:
    """On a loop disk in memory: no real disk is so fast, so none can lose more."""
    pairs = 10 if plan.quick else 40
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else plan.folder
    with ExitStack() as stack:
        scratch = stack.enter_context(Plan(folder, 0, 0, plan.quick).scratch())
        disk = stack.enter_context(loop_disks(scratch)).make(_SIZE)
        _writes(disk.path, 2.0)  # so that all of it is there
        found = [_pair(disk.path, disk.number, number) for number in range(pairs)]
        cost = _cost(disk.path, disk.number)
    return Paired(
        "tracking",
        "Overhead of write tracking",
        f"fio on one CPU, 4 KiB random writes by direct I/O to a loop disk in memory, {pairs} pairs",
        "writes a second",
        tuple(pair[0] for pair in found),
        tuple(pair[1] for pair in found),
        cost,
    )


def _pair(path: str, number: int, turn: int) -> tuple[float, float]:
    """(untracked, tracked); which comes first changes."""
    if turn % 2:
        tracked = _tracked(path, number)
        return _writes(path), tracked
    return _writes(path), _tracked(path, number)


def _tracked(path: str, number: int) -> float:
    with _tracker(number):
        return _writes(path)


@contextmanager
def _tracker(number: int) -> Iterator[Tracker]:
    tracker = ladder.track(number)
    try:
        yield tracker
    finally:
        tracker.stop()


def _cost(path: str, number: int) -> float | None:
    """Nanoseconds of CPU that all programs together take for a write; None where the kernel does not measure
    it. Some of it is the measuring. Unlike throughput it does not depend on what else the machine does."""
    if not _STATISTICS.exists():
        return None
    before = _STATISTICS.read_text()
    _STATISTICS.write_text("1")
    try:
        with _tracker(number) as tracker:
            _writes(path, 2.0)
            ran = [_statistics(attached.program) for attached in tracker.attached]
    finally:
        _STATISTICS.write_text(before)
    return sum(nanoseconds / count for nanoseconds, count in ran if count)


def _statistics(program: int) -> tuple[int, int]:
    """Nanoseconds and runs."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{program}").read_text().splitlines())
    return int(told["run_time_ns"]), int(told["run_cnt"])


def _writes(path: str, seconds: float = _SLICE) -> float:
    """Writes a second."""
    done = subprocess.run(
        [
            "fio", "--name=writes", f"--filename={path}", "--rw=randwrite", "--bs=4k", "--direct=1",
            "--ioengine=libaio", "--iodepth=32", "--time_based", f"--runtime={round(seconds * 1000)}ms",
            "--norandommap", "--randrepeat=0", f"--cpus_allowed={max(os.sched_getaffinity(0))}",
            "--output-format=json",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)["jobs"][0]["write"]["iops"])
