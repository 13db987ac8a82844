"""The receiver's log: JSON lines, in a file while the disk takes them."""

import os
import sys
from pathlib import Path
from typing import Any, cast

import structlog


class _Lines:
    """A file that is only appended to, line by line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, line: str) -> None:
        """To standard error what the file does not take: the disk that is full is the one to report."""
        try:
            os.write(self._fd, line.encode())
        except OSError:
            sys.stderr.write(line)

    def flush(self) -> None:
        """Nothing is kept back."""


def open_log(path: Path) -> Any:
    """A structlog logger for several threads; it never fails for want of room."""
    return structlog.wrap_logger(
        structlog.WriteLogger(cast(Any, _Lines(path))),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
