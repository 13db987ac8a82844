"""The journal of a volume: for each chunk the digest of what is durable, or ABSENT."""

from collections.abc import Iterator
from pathlib import Path

from rehost.block.device import Device
from rehost.block.file import open_volume
from rehost.core.digest import ABSENT, SIZE, SPAN
from rehost.core.errors import VolumeError

_BLOCK = 32768  # chunks that are looked at together


class Journal:
    """An array of digests on a device. An entry is 32 aligned bytes: within one sector, it never tears."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.chunks = device.size // SIZE

    def read(self, first: int, count: int) -> bytes:
        """The digests of `count` chunks, joined."""
        entries = bytearray(count * SIZE)
        self._device.read_into(first * SIZE, memoryview(entries))
        return bytes(entries)

    def has_any(self, first: int, count: int) -> bool:
        return self.read(first, count) != ABSENT * count

    def put(self, first: int, digests: bytes) -> None:
        self._device.write(first * SIZE, digests)

    def forget(self, first: int, count: int) -> None:
        self.put(first, ABSENT * count)

    def flush(self) -> None:
        self._device.flush()

    def close(self) -> None:
        self._device.close()

    @property
    def fresh(self) -> bool:
        """No chunk is durable yet."""
        return all(block == bytes(len(block)) for block in self._blocks(_BLOCK))

    def spans(self) -> Iterator[bytes]:
        """All entries in order, joined as the tree's subtrees take them."""
        return self._blocks(SPAN)

    def _blocks(self, size: int) -> Iterator[bytes]:
        for first in range(0, self.chunks, size):
            yield self.read(first, min(size, self.chunks - first))


def open_journal(path: Path, chunks: int) -> Journal:
    device = open_volume(path)
    if device.size != chunks * SIZE:
        device.close()
        raise VolumeError(
            f"{path} has {device.size} bytes, {chunks} chunks need {chunks * SIZE}",
            "the replica is damaged: delete the job and create it again",
        )
    return Journal(device)
