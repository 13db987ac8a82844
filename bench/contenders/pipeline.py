"""dd | zstd | ssh | zstd | dd, as system administrators do it."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contenders.sshd import sshd
from bench.place import Place
from tests.loopdisks import LoopDisk


class Pipeline:
    name = "dd, zstd, ssh"

    def __init__(self, folder: Path) -> None:
        self._folder, self._target = folder, folder / "dd.img"

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        write = f"zstd -d -q | dd of={self._target} bs=1M iflag=fullblock conv=fsync,notrunc status=none"
        with sshd(self._folder, place) as ssh:
            session = shlex.join((*ssh, place.far.address, write))
            read = f"dd if={disk.path} bs=1M iflag=direct status=none | zstd -1 -T0 -q"
            yield ("bash", "-o", "pipefail", "-c", f"{read} | {session}")

    def clear(self) -> None:
        self._target.unlink(missing_ok=True)
