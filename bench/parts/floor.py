"""The physical floor: what has to be done to the bytes of a full copy, and nothing else.

    python -m bench.parts.floor DISK TARGET

Two threads read the used blocks, digest them on both sides, copy them once as a network does, and write them
to a file that is synced at the end. No protocol, no journal, no TLS, no acknowledgements.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.place import Place
from rehost.agent.copy.reader import BATCH
from rehost.agent.survey import inventory
from rehost.block.file import FileDevice, open_source, open_volume
from rehost.block.linux import aligned_buffer
from rehost.core import digest
from rehost.core.extent import Extent
from rehost.track.mounts import mounted_on, open_on
from rehost.track.used import use_of
from tests.loopdisks import LoopDisk

_CHUNK = 256 << 10


class Floor:
    name = "physical floor"

    def __init__(self, folder: Path) -> None:
        self._target = folder / "floor.img"

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        with self._target.open("ab") as file:
            file.truncate(disk.size)
        yield (sys.executable, "-m", "bench.parts.floor", disk.path, str(self._target))

    def clear(self) -> None:
        self._target.unlink(missing_ok=True)


def copy(disk: str, target: Path) -> None:
    source, volume = open_source(Path(disk)), open_volume(target)
    extents = iter(_batches(_used(disk, source)))
    lock = threading.Lock()

    def work() -> None:
        buffer, wire = aligned_buffer(BATCH), bytearray(BATCH)
        while True:
            with lock:
                extent = next(extents, None)
            if extent is None:
                return
            content, arrived = buffer[: len(extent)], memoryview(wire)[: len(extent)]
            source.read_into(extent.start, content)
            _digest(content)
            arrived[:] = content
            _digest(arrived)
            volume.write(extent.start, arrived)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    volume.flush()


def _digest(content: memoryview) -> None:
    for start in range(0, len(content), _CHUNK):
        digest.of(content[start : start + _CHUNK])


def _used(path: str, device: FileDevice) -> Sequence[Extent]:
    (disk,) = inventory.collect([path]).disks
    number = Path(path).stat().st_rdev
    systems = {system: open_on(system) for system in mounted_on({number})}
    return use_of(disk, device, systems, aligned_buffer(64 << 10)).used


def _batches(used: Sequence[Extent]) -> Iterator[Extent]:
    for extent in used:
        for start in range(extent.start, extent.end, BATCH):
            yield Extent(start, min(start + BATCH, extent.end))


if __name__ == "__main__":
    copy(sys.argv[1], Path(sys.argv[2]))
