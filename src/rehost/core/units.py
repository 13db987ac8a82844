"""Figures for people."""


def bytes_text(size: float) -> str:
    """Bytes for people: 1536 -> 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def rate_text(rate: float) -> str:
    """Bytes a second: 1536.0 -> 1.5 KiB/s."""
    return f"{bytes_text(rate)}/s"
