"""What this process's descendants use: CPU seconds and memory."""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid, sysconf
from pathlib import Path

_LOOKS = 0.1  # seconds between two looks at the memory


class Memory(threading.Thread):
    """Watches the anonymous memory of all descendants together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self.most = 0  # bytes

    def run(self) -> None:
        while not self._ended.wait(_LOOKS):
            self.most = max(self.most, sum(map(_anonymous, descendants(getpid()))))

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def watched() -> Iterator[Memory]:
    memory = Memory()
    memory.start()
    try:
        yield memory
    finally:
        memory.end()


def cpu_seconds() -> float:
    """Of all processes that were waited for, and of what these had waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """CPU seconds of one process so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


def cpu_of_family(pid: int) -> float:
    """CPU seconds so far of a process and its children, those too that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / sysconf("SC_CLK_TCK")
    return own + sum(map(cpu_of, descendants(pid)))


def waited_of(pid: int) -> float:
    """Seconds so far that a process's first thread could have run, and others had the processors."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def memory_of(pid: int) -> int:
    """Bytes of anonymous memory."""
    return _anonymous(pid)


def pss_of(pid: int) -> int:
    """Bytes: what a process shares with others counts in parts."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def most_memory_of(pid: int) -> int:
    """Bytes, the most that it ever had, with what it shares."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


def wait_until_childless(pid: int) -> None:
    """A server's children have ended, and it has reaped them; it has 10 s for that."""
    for _ in range(100):
        if not list(descendants(pid)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"process {pid} still has children")


def descendants(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return
    for child in children:
        yield child
        yield from descendants(child)


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))
