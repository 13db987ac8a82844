"""`rehost serve` once, or several times on one database as hosts do, and what its processes use."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.processes import cpu_of, most_memory_of, pss_of, waited_of
from rehost.agent.control import host_and_port
from tests.cli.hosts import SHARED_KEYS
from tests.cli.serving import LEASED, ControlPlane


class Planes:
    def __init__(self, all_: list[ControlPlane]) -> None:
        self.first = all_[0]
        self.ports = [host_and_port(plane.endpoint)[1] for plane in all_]
        self._all = all_
        self._pids = [plane.process.pid for plane in all_ if plane.process is not None]

    def cpu(self) -> float:
        """Seconds of all together."""
        return sum(map(cpu_of, self._pids))

    def waited(self) -> float:
        """Seconds in which one could have run, of the one that waited most."""
        return max(map(waited_of, self._pids))

    def memory(self) -> int:
        """Bytes of all together, the most that each ever had."""
        return sum(map(most_memory_of, self._pids))

    def receivers(self) -> int:
        """Bytes of all receivers together."""
        return sum(pss_of(plane.receiver_pid()) for plane in self._all)


@contextmanager
def planes(folder: Path, count: int, url: str, prepare: Callable[[Path], object]) -> Iterator[Planes]:
    """`prepare`: puts settings into a data folder."""
    os.environ[LEASED] = "20"  # as usual: tests have a shorter one
    cache = Path(os.environ.get("REHOST_CACHE", ".cache")).resolve()
    with ExitStack() as stack:
        made: list[ControlPlane] = []
        for number in range(count):
            name = f"serve-{number}" if count > 1 else ""
            data = folder / (name or "serve")
            _give_keys(data, made)
            prepare(data)
            plane = ControlPlane(data, cache, name=name)
            stack.callback(plane.close)
            plane.start(database=url)
            made.append(plane)
        yield Planes(made)


def _give_keys(data: Path, made: list[ControlPlane]) -> None:
    (data / "keys").mkdir(parents=True, mode=0o700)
    for key in SHARED_KEYS if made else ():
        shutil.copy(made[0].data / "keys" / key, data / "keys" / key)
