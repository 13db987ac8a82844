"""rsync of the whole disk over ssh; what is there already is compared by checksums and updated in place."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contenders.sshd import sshd
from bench.place import Place
from tests.loopdisks import LoopDisk


class Rsync:
    name = "rsync"

    def __init__(self, folder: Path) -> None:
        self._folder, self._target = folder, folder / "rsync.img"

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        with sshd(self._folder, place) as ssh:
            yield (
                "rsync", "--copy-devices", "--inplace", "--no-whole-file", "--ignore-times", "--fsync",
                "--rsh", shlex.join(ssh), disk.path, f"{place.far.address}:{self._target}",
            )  # fmt: skip

    def clear(self) -> None:
        self._target.unlink(missing_ok=True)
