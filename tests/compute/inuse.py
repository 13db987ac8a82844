"""Programs that have an image open, as a boot or an export has."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from rehost.compute.local import imagelock


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """As by a boot or an export: somebody reads an image."""
    with subprocess.Popen(["qemu-io", "-r", "-f", "qcow2", "-c", "sleep 60000", path]) as process:
        deadline = time.monotonic() + 20
        while not imagelock.in_use(path):
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield
        process.kill()
