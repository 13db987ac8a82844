"""Times as the API writes them: UTC, `YYYY-MM-DDThh:mm:ssZ`."""

import re
from datetime import UTC, datetime

DAY = 86400.0

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def parse(text: str) -> float:
    """Unix seconds; ValueError for any other form and for times that no calendar has."""
    if not _FORM.fullmatch(text):
        raise ValueError(f"not a time of the form YYYY-MM-DDThh:mm:ssZ: {text!r}")
    return datetime.fromisoformat(text).timestamp()


def write(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def write_known(seconds: float | None) -> str | None:
    """None: there is no such time."""
    return None if seconds is None else write(seconds)
