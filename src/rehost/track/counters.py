"""The kernel's I/O statistics of a whole disk, as far as they tell whether anything was written."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the disk appeared."""

    reads: int  # requests
    writes: tuple[int, int, int, int]  # requests and sectors written, requests and sectors discarded


def parse_stat(text: str) -> Counters | None:
    """A disk's `stat` file; None from kernels before 4.18, which do not count discards."""
    fields = [int(field) for field in text.split()]
    if len(fields) < 15:
        return None
    return Counters(fields[0], (fields[4], fields[6], fields[11], fields[13]))


def counters_of(device: int, sys: Path = Path("/sys")) -> Counters | None:
    """The counters of disk number `device`; None if the kernel does not count for it."""
    folder = sys / "dev/block" / f"{os.major(device)}:{os.minor(device)}"
    try:
        if (folder / "queue/iostats").read_text().strip() != "1":
            return None
        return parse_stat((folder / "stat").read_text())
    except FileNotFoundError:
        return None
