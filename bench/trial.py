"""One copy by one contender, measured: wall and CPU seconds, bytes on the wire, memory."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.contenders.contender import Contender
from bench.disk import settle
from bench.place import Place
from bench.processes import cpu_seconds, watched
from tests.loopdisks import LoopDisk


@dataclass(frozen=True, slots=True)
class Trial:
    contender: str
    seconds: float  # until the copy is durable
    cpu: float  # seconds of all processes of both ends; the kernel's own threads are not counted
    wire: int  # bytes
    memory: int  # bytes, of both ends together, at most: anonymous memory, not page cache


def attempt(contender: Contender, place: Place, disk: LoopDisk) -> Trial:
    """The receiving end is started before and ended after the time that counts."""
    settle(disk)
    wire, cpu = place.wire, cpu_seconds()
    with watched() as memory, contender.receiving(place, disk) as command:
        began = time.monotonic()
        subprocess.run(place.near.command(*command), check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
    return Trial(contender.name, seconds, cpu_seconds() - cpu, place.wire - wire, memory.most)


def alternate(
    contenders: Sequence[Contender], rounds: int, once: Callable[[Contender], Trial]
) -> Iterator[Trial]:
    """Each contender once in each round, another one first each time: what disturbs one disturbs all."""
    for number in range(rounds):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            trial = once(contender)
            print(f"  {trial.contender:24} {trial.seconds:8.2f} s {trial.cpu:7.2f} s of CPU", flush=True)
            yield trial
