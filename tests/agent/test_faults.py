"""A run over a bad network, and runs in which either side is killed at any moment: nothing lost or wrong."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from rehost.core.agentapi import RunOptions
from tests.agent.agent_process import Outcome
from tests.agent.copying import Lab, lab
from tests.agent.processes import agent, answer
from tests.agent.proxy import proxy_to
from tests.agent.tortured import SIZES, Frozen, tortured
from tests.loopdisks import LoopDisk, LoopDisks
from tests.netlab.link import Link, link
from tests.netlab.shape import Shape
from tests.processes import line_of

MIB = 1 << 20
GOOD = Shape(rate=40.0 * MIB, delay=0.002)
PLAIN = RunOptions(compress_level=0, freeze_deadline=60.0)


@dataclass(frozen=True)
class Bad:
    """What a link does after some good seconds, for how long, and how often."""

    shape: Shape
    good: float
    seconds: float
    times: int = 1


LOSS = Bad(Shape(rate=40.0 * MIB, delay=0.002, loss=0.01), good=0, seconds=3600)
HOLE = Bad(Shape(black_hole=True), good=0.5, seconds=2, times=2)
FAR_AND_LOSSY = Bad(Shape(rate=40.0 * MIB, delay=0.02, loss=0.02), good=0, seconds=3600)
HOLE_OF_A_MINUTE = Bad(Shape(black_hole=True), good=3, seconds=60)


@pytest.mark.parametrize("bad", [LOSS, HOLE], ids=["loss", "black hole"])
def test_a_bad_network_costs_time_only(disks: LoopDisks, tmp_path: Path, bad: Bad) -> None:
    over_a_bad_network(noise(disks, 24 * MIB), tmp_path, bad)


@pytest.mark.lab
@pytest.mark.parametrize("bad", [FAR_AND_LOSSY, HOLE_OF_A_MINUTE], ids=["loss", "black hole"])
def test_a_very_bad_network_costs_time_only(disks: LoopDisks, tmp_path: Path, bad: Bad) -> None:
    over_a_bad_network(noise(disks, 200 * MIB), tmp_path, bad)


def over_a_bad_network(disk: LoopDisk, folder: Path, bad: Bad) -> None:
    with (
        link(GOOD) as between,
        lab(folder, disk, options=PLAIN, address=between.far.address, prefix=between.far.command()) as site,
        agent(site, prefix=between.near.command()) as process,
        spoiled(between, bad),
    ):
        outcome = msgspec.json.decode(line_of(process), type=Outcome)
        assert outcome.report is not None, outcome.error
        assert site.replica().read_bytes() == disk.image.read_bytes()


@contextmanager
def spoiled(between: Link, bad: Bad) -> Iterator[None]:
    end = threading.Event()

    def spoil() -> None:
        for _ in range(bad.times):
            if not end.wait(bad.good):
                between.shape(bad.shape)
                end.wait(bad.seconds)
                between.shape(GOOD)

    with beside(spoil, end):
        yield


@contextmanager
def beside(work: Callable[[], object], end: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def noise(disks: LoopDisks, size: int) -> LoopDisk:
    """A disk without a file system, full of bytes that do not compress."""
    disk = disks.make(size)
    with open(disk.path, "wb") as file:
        file.write(os.urandom(size))
        os.fsync(file.fileno())
    return disk


@pytest.mark.parametrize("count", [5, pytest.param(60, marks=pytest.mark.lab)])
def test_resets_at_any_moment_cost_time_only(disks: LoopDisks, tmp_path: Path, count: int) -> None:
    disk, chance = noise(disks, 48 * MIB), random.Random(count)
    limited = RunOptions(compress_level=0, bandwidth_limit=(16 << 10), freeze_deadline=60.0)
    with lab(tmp_path, disk, options=limited) as site, proxy_to(site.site.port, resets=True) as proxy:
        end = threading.Event()

        def reset() -> None:
            for _ in range(count):
                if end.wait(chance.uniform(0.05, 0.5)):
                    return
                proxy.cut()

        with beside(reset, end):
            site.carry_out(port=proxy.port)
        assert proxy.connections > 2
        assert site.replica().read_bytes() == disk.image.read_bytes()


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.lab, pytest.mark.timeout(3600)])])
def test_kill_9_of_either_side_at_any_moment(disks: LoopDisks, tmp_path: Path, kills: int) -> None:
    """Of runs over a disk at work, with an empty replica and over one that is full: all are checked."""
    disk, chance, struck = disks.make(SIZES["ext4"], "ext4"), random.Random(kills), Counter[str]()
    assert disk.mount is not None
    frozen = Frozen(tmp_path, (disk,), ("ext4",))
    with (
        ThreadPoolExecutor(1) as beside,  # to its end: a receiver ends with the thread that started it
        lab(tmp_path, disk) as site,
        tortured(disk.mount, seed=kills),
    ):
        began = time.monotonic()
        assert ends(site, frozen)
        usual = time.monotonic() - began
        while struck.total() < kills:
            if struck.total() % 2:
                site.renew()
            strike = Strike(site, beside, chance.choice(("agent", "receiver")), chance.uniform(0, usual))
            if not ends(site, frozen, strike):
                assert ends(site, frozen)
            frozen.check(site, disks)
            struck[strike.whom] += strike.done
    print(f"killed while it ran: {struck}")


@dataclass
class Strike:
    """A kill, some seconds after the start of a run, if it still goes on then."""

    site: Lab
    beside: Executor
    whom: str
    seconds: float
    done: bool = False

    def prepare(self, process: "subprocess.Popen[bytes]", end: threading.Event) -> "Future[None]":
        return self.beside.submit(self._strike, process, end)

    def _strike(self, process: "subprocess.Popen[bytes]", end: threading.Event) -> None:
        if end.wait(self.seconds):
            return
        self.done = True
        if self.whom == "agent":
            process.kill()
        else:
            self.site.site.stop(signal.SIGKILL)
            self.site.site.start()


def ends(site: Lab, frozen: Frozen, strike: Strike | None = None) -> bool:
    """Whether a run comes to its end and is not killed before; `frozen` has its freeze then."""
    end = threading.Event()
    with agent(site, waits_frozen=True) as process:
        struck = strike.prepare(process, end) if strike else None
        while (line := line_of(process)) == b"frozen\n":
            frozen()
            with suppress(BrokenPipeError):  # it was killed meanwhile
                answer(process)
        end.set()
        if struck:
            struck.result()
        status = process.wait(60)
    if status == -signal.SIGKILL:
        return False
    outcome = msgspec.json.decode(line, type=Outcome)
    assert outcome.report is not None, outcome.error
    return True
