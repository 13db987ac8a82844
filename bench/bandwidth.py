"""How exactly a run keeps to its bandwidth limit: bytes on the wire, over TLS, to a real receiver.

    python -m bench.bandwidth [--folder DIR] [--limits KB/S ...] [--seconds S]

A run copies a loop disk of random bytes (needs root); a proxy counts what passes, with TLS. For each limit,
with one stream and with four: the slowest and the fastest stretch of ten seconds, as parts of the limit.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rehost.core.agentapi import RunOptions
from rehost.core.errors import RunStoppedError
from tests.agent.copying import Lab, lab
from tests.agent.proxy import proxy_to
from tests.loopdisks import loop_disks

STRETCH = 10.0  # seconds
LOOK = 0.05


def samples(count: Callable[[], int], seconds: float) -> list[tuple[float, int]]:
    """What was counted when, once the first byte has passed."""
    while not count():
        time.sleep(LOOK)
    seen, end = [], time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        seen.append((now, count()))
        time.sleep(LOOK)
    return seen


def rates(seen: list[tuple[float, int]]) -> list[float]:
    """Bytes a second in each stretch of ten seconds; the first second, with its burst, is in one of them."""
    found, last = [], 0
    for began, first in seen:
        while last < len(seen) and seen[last][0] - began < STRETCH:
            last += 1
        if last == len(seen):
            break
        found.append((seen[last][1] - first) / (seen[last][0] - began))
    return found


def measure(folder: Path, limit: int, streams: int, seconds: float) -> str:
    """One run that is stopped after so many seconds; what it came to, as a line."""
    size = (int(limit * 1024 * seconds * 1.5) >> 20) + 8 << 20
    options = RunOptions(bandwidth_limit=limit, compress_level=0, streams=streams)
    with loop_disks(folder) as disks:
        disk = disks.make(size)
        with open(disk.path, "wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        with lab(folder, disk, options=options) as site, proxy_to(site.site.port) as proxy:
            stop = threading.Event()
            run = threading.Thread(target=_until_stopped, args=(site, stop, proxy.port))
            run.start()
            seen = rates(samples(lambda: proxy.to_receiver, seconds))
            stop.set()
            run.join()
    low, high = (rate / (limit * 1024) for rate in (min(seen), max(seen)))
    return f"{limit:6} KB/s, {streams} streams: {low:.3f} to {high:.3f} of the limit in {len(seen)} stretches"


def _until_stopped(site: Lab, stop: threading.Event, port: int) -> None:
    try:
        site.carry_out(stop=stop, port=port)
    except RunStoppedError:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--limits", type=int, nargs="+", default=[512, 4096, 32768])
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    print("bandwidth limits, stretches of 10 s:", flush=True)
    for limit in arguments.limits:
        for streams in (1, 4):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                print(" ", measure(Path(folder), limit, streams, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
