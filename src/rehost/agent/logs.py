"""The agent's log: lines for people on standard error, which the journal keeps.

Lines go through a queue to a thread of their own: while the disk that holds the journal is frozen, a write to
standard error can block, and the copy must not.
"""

import logging
import logging.handlers
import os
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def to_standard_error(level: int = logging.INFO) -> Iterator[None]:
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(logging.Formatter(_format()))
    entry = logging.handlers.QueueHandler(lines)
    writer = logging.handlers.QueueListener(lines, output)
    root = logging.getLogger()
    root.addHandler(entry)
    root.setLevel(level)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(entry)
        writer.stop()


def _format() -> str:
    """The journal writes times and the unit's name by itself."""
    return (
        "%(levelname)s %(message)s"
        if "JOURNAL_STREAM" in os.environ
        else "%(asctime)s %(levelname)s %(message)s"
    )
