"""A process that writes to a file system without pause: random writes, fsync, direct I/O, deletes, renames.

    python writer.py FOLDER SEED

Writes the number of its operations to standard output now and then, and ends at the end of its input.
"""

import mmap
import os
import random
import select
import sys
import time
from pathlib import Path

_MOST = 60  # files
_BLOCK = 4096


class Writer:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._direct = mmap.mmap(-1, 4 * _BLOCK)

    def step(self) -> None:
        file = self._folder / f"file-{self._random.randrange(_MOST)}"
        action = self._random.choices(
            (self.overwrite, self.append, self.delete, self.rename, self.write_direct), (6, 3, 1, 1, 2)
        )[0]
        action(file)

    def overwrite(self, file: Path) -> None:
        self._write(file, self._random.randrange(1 << 20))

    def append(self, file: Path) -> None:
        size = file.stat().st_size if file.exists() else 0
        self._write(file, size if size < 1 << 20 else 0)

    def delete(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    def rename(self, file: Path) -> None:
        if file.exists():
            file.rename(self._folder / f"file-{self._random.randrange(_MOST)}")

    def write_direct(self, file: Path) -> None:
        self._direct[:] = self._random.randbytes(len(self._direct))
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        os.pwrite(fd, self._direct, self._random.randrange(256) * _BLOCK)
        os.close(fd)

    def _write(self, file: Path, place: int) -> None:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.pwrite(fd, self._random.randbytes(self._random.randrange(1, 100_000)), place)
        if self._random.random() < 0.3:
            os.fsync(fd)
        os.close(fd)


def main() -> None:
    writer, count = Writer(Path(sys.argv[1]), int(sys.argv[2])), 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        writer.step()
        count += 1
        if count % 50 == 0:
            print(count, flush=True)
        time.sleep(0.001)


if __name__ == "__main__":
    main()
