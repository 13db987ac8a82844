"""nbdcopy to nbdkit's file plugin, over TLS with certificates."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.contenders.certificates import write_certificates
from bench.contenders.contender import serving
from bench.place import Place
from tests.loopdisks import LoopDisk

_PORT = 10809


class NbdCopy:
    name = "nbdcopy"

    def __init__(self, folder: Path) -> None:
        self._certificates = folder / "nbd-certificates"
        self._target = folder / "nbd.img"

    @contextmanager
    def receiving(self, place: Place, disk: LoopDisk) -> Iterator[Sequence[str]]:
        fresh = not self._target.exists()
        write_certificates(self._certificates, place.far.address)
        with self._target.open("ab") as file:
            file.truncate(disk.size)
        server = (
            "nbdkit", "--foreground", "--tls=require", f"--tls-certificates={self._certificates}",
            f"--ipaddr={place.far.address}", f"--port={_PORT}", "file", str(self._target),
        )  # fmt: skip
        uri = f"nbds://{place.far.address}:{_PORT}/?tls-certificates={self._certificates}"
        with serving(place, _PORT, *server):
            yield ("nbdcopy", "--flush", *(["--destination-is-zero"] if fresh else []), disk.path, uri)

    def clear(self) -> None:
        self._target.unlink(missing_ok=True)
