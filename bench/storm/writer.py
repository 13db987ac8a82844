"""A program that writes without pause, and what has to be true of its files at any moment.

`python -m bench.storm.writer FOLDER SEED` writes one small file after the other, each synced before it gets
its name, and the oldest name is given anew. So a copy of one moment has the files of so many numbers in a
row, each as it was written; a write that was missed leaves a hole, or a file of a wrong content.
"""

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FILES = 48
_PAUSE = 0.4  # seconds
_LEAST, _MOST = 1 << 10, 48 << 10  # bytes of a file
_HEAD = 16


def main(folder: Path, seed: str) -> None:
    number = 0
    while True:
        _write(folder, number, content(seed, number))
        number += 1
        time.sleep(_PAUSE)


def content(seed: str, number: int) -> bytes:
    dice = random.Random(f"{seed} {number}")
    return f"{number:{_HEAD}}".encode() + dice.randbytes(dice.randrange(_LEAST, _MOST))


def faults(folder: Path, seed: str) -> Iterator[str]:
    """What is wrong with a copy of the files of one moment."""
    numbers = []
    for path in sorted(folder.glob("file-*")):
        found = path.read_bytes()
        number = int(found[:_HEAD] or -1)
        numbers.append(number)
        if number < 0 or found != content(seed, number) or path != _path(folder, number):
            yield f"{path.name} has a content that was never written"
    last = max(numbers, default=-1)
    if last < 0 or sorted(numbers) != list(range(max(0, last - FILES + 1), last + 1)):
        yield f"the {len(numbers)} files up to {last} are not those of one moment"


def _write(folder: Path, number: int, data: bytes) -> None:
    beside = folder / "beside"
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(_path(folder, number))


def _path(folder: Path, number: int) -> Path:
    return folder / f"file-{number % FILES:03d}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
