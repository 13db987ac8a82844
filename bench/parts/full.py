"""Full copies, on loopback and over links."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench import disk as source
from bench.contenders.contender import Contender
from bench.contenders.nbd import NbdCopy
from bench.contenders.pipeline import Pipeline
from bench.contenders.rehost import Rehost
from bench.contenders.rsync import Rsync
from bench.parts.floor import Floor
from bench.parts.linkcheck import throughput
from bench.place import Place, loopback, shaped
from bench.plan import Plan
from bench.result import Comparison
from bench.trial import Trial, alternate, attempt
from rehost.core.agentapi import RunOptions
from tests.loopdisks import LoopDisk, loop_disks, run
from tests.netlab.shape import Shape

_GIB = 1 << 30


def on_loopback(plan: Plan) -> Comparison:
    """With the physical floor beside it."""
    return _compare(plan, "copy", loopback(), plan.size, max(1, plan.rounds - 1), (Floor,))


def over_gigabit(plan: Plan) -> Comparison:
    place = shaped("1 Gbit/s", Shape(1e9 / 8))
    return _compare(plan, "gigabit", place, max(0.5, plan.size / 8), max(1, plan.rounds - 2))


def over_slow_link(plan: Plan) -> Comparison:
    place = shaped("100 Mbit/s, 20 ms each way", Shape(1e8 / 8, 0.02))
    return _compare(plan, "slow", place, max(0.25, plan.size / 32), max(1, plan.rounds - 2))


def contenders(folder: Path) -> list[Contender]:
    """rehost with its defaults, and never compressing."""
    return [
        Rehost(folder),
        Rehost(folder, RunOptions(compress_level=0), "rehost, level 0"),
        NbdCopy(folder),
        Pipeline(folder),
        Rsync(folder),
    ]


def _compare(
    plan: Plan,
    part: str,
    entered: AbstractContextManager[Place],
    size: float,
    rounds: int,
    more: Sequence[Callable[[Path], Contender]] = (),
) -> Comparison:
    with plan.scratch() as folder, loop_disks(folder) as disks, entered as place:
        made = source.make(disks, int(size * _GIB))
        source.fill(made, source.content())
        _touch(folder, made)
        rivals = [*contenders(folder), *(one(folder) for one in more)]
        trials = tuple(alternate(rivals, rounds, partial(_full, place, made)))
        note = f"{size:g} GiB of ext4, 40 % used, half compressible, stale data in free space"
        if place.both_ways:
            note += f"; one plain TCP connection carries {throughput(place) * 8 / 1e6:.0f} Mbit/s there"
        return Comparison(part, f"Full copy, {place.name}", note, "nbdcopy", trials)


def _full(place: Place, disk: LoopDisk, contender: Contender) -> Trial:
    try:
        return attempt(contender, place, disk)
    finally:
        contender.clear()


def _touch(folder: Path, disk: LoopDisk) -> None:
    """Write where the copies will lie. A virtual machine's disk may be a quarter as fast the first time that
    a block of it is written: whoever came first would pay for all."""
    for block in _first_writes(disk.size):
        with (folder / "touched").open("ab") as file:
            file.write(block)
    run("sync", "-f", str(folder))
    (folder / "touched").unlink()


def _first_writes(size: int) -> Iterator[bytes]:
    block = b"\1" * source.MIB
    for _ in range(size // source.MIB):
        yield block
