"""What a verification found, for people and for programs. Pure."""

from collections.abc import Iterator
from typing import Any

from rehost.agent.verify.verifying import Verified
from rehost.core.extent import Extent
from rehost.core.server import Disk
from rehost.core.verification import Comparison, places


def lines(found: Verified, most: int) -> Iterator[str]:
    """One line on the disk, one for each of the first `most` extents that differ, and what else is known."""
    comparison = found.comparison
    yield f"disk {comparison.volume}, {found.path}: {_verdict(comparison)}"
    yield from details(comparison, found.disk, most)
    for note in found.notes:
        yield f"  {note}"


def details(comparison: Comparison, disk: Disk | None, most: int) -> Iterator[str]:
    """Where it differs."""
    for extent in comparison.differing[:most]:
        yield f"  {_extent(extent, disk)}"
    if len(comparison.differing) > most:
        yield f"  and {len(comparison.differing) - most} more"
    if comparison.present < comparison.size:
        yield f"  it ends at byte {comparison.present}, and {comparison.size} bytes were copied"
    if comparison.present > comparison.size:
        more = comparison.present - comparison.size
        yield f"  it has {more} bytes behind those that were copied; they do not count"


def _verdict(comparison: Comparison) -> str:
    if comparison.equal:
        return f"equal ({comparison.read} bytes read)"
    return f"differs in {count(comparison)}"


def count(comparison: Comparison) -> str:
    """How much differs."""
    extents = len(comparison.differing)
    return f"{extents} extent{'s' * (extents != 1)}, {comparison.differing_bytes} bytes of chunks"


def _extent(extent: Extent, disk: Disk | None) -> str:
    where = ", ".join(places(extent, disk))
    return f"bytes {extent.start} to {extent.end}" + (f"  {where}" if where else "")


def as_json(found: Verified, most: int) -> dict[str, Any]:
    comparison = found.comparison
    return {
        "disk": comparison.volume,
        "path": str(found.path),
        "equal": comparison.equal,
        "size": comparison.size,
        "present": comparison.present,
        "read": comparison.read,
        "root": comparison.root.hex(),
        "differing_bytes": comparison.differing_bytes,
        "differing_extents": len(comparison.differing),
        "extents": [
            {"start": extent.start, "end": extent.end, "partitions": list(places(extent, found.disk))}
            for extent in comparison.differing[:most]
        ],
        "notes": list(found.notes),
    }
