"""What the command line asks for."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    folder: Path  # where disks and copies lie meanwhile
    size: float  # GiB, of the disk that is copied on loopback; others are parts of it
    rounds: int
    quick: bool
    sources: int = 10_000  # these five: of `scale`
    jobs: int = 2000  # that run at once
    seconds: float = 30.0  # of each measurement
    steps: int = 3  # each with twice as many jobs as the one before
    serves: int = 1  # `rehost serve` on one database

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="rehost-bench-") as folder:
            yield Path(folder)
