"""The disk that is copied: ext4 on a loop device, with files half of which compress, and stale free space."""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.loopdisks import LoopDisk, LoopDisks, run

MIB = 1 << 20
_POOL = 16 * MIB
_WORDS = 4000
_FULL, _USED = 0.90, 0.40  # of the file system: before stale files are deleted, and after


@dataclass(frozen=True, slots=True)
class Content:
    """What files are made of."""

    text: bytes  # zstd makes a third of it
    noise: bytes

    def piece(self, dice: random.Random, length: int) -> bytes:
        pool = dice.choice((self.text, self.noise))
        start = dice.randrange(_POOL - length)
        return pool[start : start + length]


def content(seed: int = 3) -> Content:
    dice = random.Random(seed)
    words = [dice.randbytes(dice.randrange(2, 10)).hex() for _ in range(_WORDS)]
    weights = [1 / (rank + 10) for rank in range(_WORDS)]
    text = " ".join(dice.choices(words, weights, k=_POOL // 8)).encode()
    assert len(text) > _POOL
    return Content(text[:_POOL], dice.randbytes(_POOL))


def fill(disk: LoopDisk, made: Content, amount: int | None = None, seed: int = 1) -> None:
    """Files of 4 KiB to 8 MiB until the file system is nearly full, or until there are `amount` bytes; then
    those that are stale go, so that what is left lies scattered, and free space holds what was deleted."""
    dice, stale = random.Random(seed), []
    for number, length in enumerate(
        _lengths(dice, amount or int(shutil.disk_usage(_mount(disk)).free * _FULL))
    ):
        path = _folder(disk, number) / f"file-{number}"
        path.write_bytes(made.piece(dice, length))
        if dice.random() > _USED / _FULL:
            stale.append(path)
    os.sync()
    for path in stale:
        path.unlink()
    run("sync", "-f", str(disk.mount))


def change(disk: LoopDisk, made: Content, amount: int, seed: int) -> None:
    """Rewrite `amount` bytes: whole files in place, and for a fiftieth of it single blocks of 4 KiB anywhere
    in files, as databases do."""
    dice = random.Random(seed)
    files = sorted(path for path in _mount(disk).rglob("file-*"))
    blocks = amount // 50 // 4096
    left = amount - blocks * 4096
    for path in dice.sample(files, len(files)):
        length = min(left, path.stat().st_size)
        _overwrite(path, 0, made.piece(dice, length))
        if (left := left - length) == 0:
            break
    large = [path for path in files if path.stat().st_size >= MIB]
    for _ in range(blocks):
        path = dice.choice(large)
        _overwrite(path, dice.randrange(path.stat().st_size // 4096) * 4096, dice.randbytes(4096))
    run("sync", "-f", str(disk.mount))


def settle(disk: LoopDisk) -> None:
    """Nothing of the disk is in the page cache, for whoever reads it next."""
    run("sync", "-f", str(disk.mount))
    run("blockdev", "--flushbufs", disk.path)


def make(disks: LoopDisks, size: int) -> LoopDisk:
    return disks.make(size, "ext4", ("-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-m", "0"))


def _lengths(dice: random.Random, amount: int) -> Iterator[int]:
    while amount > 0:
        length = int(4096 * 2 ** dice.uniform(0, 11))
        yield length
        amount -= length


def _folder(disk: LoopDisk, number: int) -> Path:
    folder = _mount(disk) / f"folder-{number // 500}"
    folder.mkdir(exist_ok=True)
    return folder


def _mount(disk: LoopDisk) -> Path:
    assert disk.mount is not None
    return disk.mount


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
