"""What the check of an image found, for people and for programs. Pure."""

from collections.abc import Iterator
from typing import Any

from rehost.agent.verify import verifyview
from rehost.agent.verify.verifying import Verified
from rehost.cli.imagecheck import VolumeCheck
from rehost.core.units import bytes_text
from rehost.core.verification import Finding

_SAYS = {
    Finding.EQUAL: "equal to what was copied",
    Finding.DATA: "DAMAGED, it is not what was copied any more",
    Finding.JOURNAL: "equal to what was copied, but the digests in its journal are DAMAGED",
    Finding.BOTH: "DAMAGED, and the digests in its journal too: where they differ, either may be wrong",
}
_ANEW = "check this host's disk (dmesg, smartctl); use the image of another run, or copy the source anew"
_ADVICE = {
    Finding.DATA: _ANEW,
    Finding.JOURNAL: "the image can be used, but no run builds on it any more: create another job",
    Finding.BOTH: _ANEW,
}


def lines(found: VolumeCheck, most: int) -> Iterator[str]:
    comparison, finding = found.comparison, found.finding
    differing = f" ({verifyview.count(comparison)})" if comparison.differing else ""
    yield f"disk {comparison.volume}: {_SAYS[finding]}{differing}"
    yield from verifyview.details(comparison, found.disk, most)
    if not found.seal_is_right:
        yield f"  the seal does not have the root that the source had: it has {found.sealed_root}"
    if finding in _ADVICE:
        yield f"  {_ADVICE[finding]}"
    yield f"  root {found.root}; {bytes_text(comparison.read)} read"
    if found.converted_extents:
        changed = f"{bytes_text(found.converted_bytes)} in {found.converted_extents} extents"
        yield f"  the conversion changed {changed} on purpose, in a layer of its own: no differences"


def as_json(found: VolumeCheck, most: int) -> dict[str, Any]:
    """As of any disk that is verified, and what vouches for it."""
    shown = verifyview.as_json(Verified(found.path, found.disk, found.comparison), most)
    return shown | {
        "equal": found.equal,
        "finding": found.finding,
        "content_root": shown["root"],
        "root": found.root,
        "journal_root": found.journal_root,
        "sealed_root": found.sealed_root,
        "converted_bytes": found.converted_bytes,
        "converted_extents": found.converted_extents,
    }
