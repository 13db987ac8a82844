"""How fast chunks become durable: a sender and a receiver process over TLS on loopback.

    python -m bench.dataplane [--folder DIR] [--size MIB]

The source is memory, so that the figures are the data plane's own and the target disk's.
"""

import argparse
import os
import resource
import signal
import tempfile
import threading
import time
from pathlib import Path

from rehost.block.volume import VolumeShape
from tests.receive.site import Sender, Site

MIB = 1 << 20


def measure(folder: Path, size: int, streams: int, level: int, chunk: int) -> str:
    """One transfer of `size` bytes; what it came to, as a line."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        site = Site(Path(data), [VolumeShape(0, size, chunk)])
        site.raise_generation(1)
        site.start()
        try:
            seconds = _send(site, size, streams, level, chunk)
        finally:
            site.stop(signal.SIGTERM)
    return f"{streams} streams, zstd {level}, chunks of {chunk >> 10:4} KiB: {size / seconds / 1e6:6.0f} MB/s"


def _send(site: Site, size: int, streams: int, level: int, chunk: int) -> float:
    """Seconds until everything is acknowledged."""
    half_compressible = os.urandom(chunk // 2) + bytes(chunk // 2)

    def stream(number: int) -> None:
        channel = site.channel()
        sender = Sender(channel, site.ticket(), number, level)
        last = 0
        for index in range(number, size // chunk, streams):
            last = sender.send(0, index, half_compressible)
        sender.wait_acked(last)
        channel.close()

    threads = [threading.Thread(target=stream, args=(number,)) for number in range(streams)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    arguments = parser.parse_args()
    print(f"data plane, {arguments.size} MiB into {arguments.folder}:", flush=True)
    for streams, level, chunk in ((1, 0, 256 << 10), (2, 0, 256 << 10), (2, 1, 256 << 10), (2, 0, MIB)):
        print(" ", measure(arguments.folder, arguments.size * MIB, streams, level, chunk), flush=True)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"  a receiver's memory at most: {most >> 10} MiB")


if __name__ == "__main__":
    main()
