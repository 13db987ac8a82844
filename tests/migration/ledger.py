"""What a replica has durable, chunk by chunk, as its journals say: to count what was sent again."""

import json
from pathlib import Path

from rehost.block.layer import chain
from rehost.core import digest

CHUNK = 256 << 10
ZERO = digest.of_zeroes(CHUNK)  # sent as a few bytes, however many


class Ledger:
    """The journals of a replica at one moment; a chunk is (volume, number)."""

    def __init__(self, replica: Path) -> None:
        self.entries = {
            (volume, place // digest.SIZE): journal[place : place + digest.SIZE]
            for volume, journal in enumerate(_journals(replica))
            for place in range(0, len(journal), digest.SIZE)
        }

    @property
    def content(self) -> set[tuple[int, int]]:
        """The chunks that are durable and not zero."""
        return {chunk for chunk, entry in self.entries.items() if entry not in (digest.ABSENT, ZERO)}

    def rewritten(self, later: "Ledger") -> set[tuple[int, int]]:
        """What was durable here and is something else in the end: the source wrote it meanwhile."""
        return {
            chunk
            for chunk, entry in self.entries.items()
            if entry not in (digest.ABSENT, later.entries[chunk])
        }


def roots(replica: Path) -> list[str]:
    """The roots of what lies in the volumes, whatever the journals say."""
    return [_root(data).hex() for data in sorted(replica.glob("layers/*/disk-*.raw"))]


def sealed_roots(replica: Path) -> list[str]:
    return list(json.loads((chain(replica)[-1].path / "sealed.json").read_text())["roots"])


def _root(data: Path) -> bytes:
    with data.open("rb") as file:
        digests = (digest.of(chunk) for chunk in iter(lambda: file.read(CHUNK), b""))
        return digest.root(digests, data.stat().st_size)


def _journals(replica: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(replica.glob("layers/*/disk-*.digests"))]
