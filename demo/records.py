"""The record file of the source machine: is a copy of it what the freeze must have left? Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rehost.core.errors import RehostError


class RecordsError(RehostError):
    """The record file of source or image is not what it has to be."""

    code = "Demo.RecordsDiffer"


@dataclass(frozen=True, slots=True)
class Record:
    number: int
    boot: str  # the boot id of the system that wrote it
    written: int  # Unix seconds
    uptime: float  # seconds since that system's start


@dataclass(frozen=True, slots=True)
class Proof:
    copied: int  # records of the source in the image, the first ones without a gap
    after_freeze: int  # records that the source wrote since
    written_by_image: int  # records that the image's own system added when it was booted
    pause: float  # seconds between the source's records around the freeze
    usual_pause: float  # the median of all others


def parse(content: bytes, whose: str) -> list[Record]:
    """All records in order; RecordsError for one that is torn, damaged or out of order."""
    if not content.endswith(b"\n"):
        raise RecordsError(f"the last record {whose} is torn: {content[-80:]!r}")
    records = [_record(line, whose) for line in content.splitlines()]
    for before, after in pairwise(records):
        if after.number != before.number + 1:
            raise RecordsError(f"{whose}, record {after.number} comes after {before.number}")
    if records and records[0].number != 1:
        raise RecordsError(f"{whose}, the first record is number {records[0].number}")
    return records


def _record(line: bytes, whose: str) -> Record:
    text, _, digest = line.rpartition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise RecordsError(f"a record {whose} is damaged: {line[:120]!r}")
    number, boot, written, uptime = text.decode().split(" ")
    return Record(int(number), boot, int(written), float(uptime))


def prove(source: bytes, image: bytes, source_boot: str, held: float) -> Proof:
    """Hold the image's file against the source's, which was read later.

    `held`: seconds for which all of the source's file systems were frozen. The recorder was stopped for so
    long in the middle of one write, so the end of the copy has to be where the source's own file shows that
    pause: a copy that ends earlier lacks records that were on stable storage. RecordsError says what does not
    fit.
    """
    originals, copies = parse(source, "on the source"), parse(image, "in the image")
    copied = [record for record in copies if record.boot == source_boot]
    own = copies[len(copied) :]
    length = sum(len(line) for line in image.splitlines(keepends=True)[: len(copied)])
    if any(record.boot == source_boot for record in own) or image[:length] != source[:length]:
        raise RecordsError("the image's records are not the first ones of the source's")
    if not copied or not own:
        missing = "no record of the source" if not copied else "no record of its own"
        raise RecordsError(f"the image has {missing}: did the recorder run?")
    if any(record.boot != source_boot for record in originals):
        raise RecordsError("the source was restarted during the migration")
    pauses = sorted(after.uptime - before.uptime for before, after in pairwise(originals))
    pause, usual = _pause_around(originals, len(copied)), pauses[len(pauses) // 2]
    if pause < held - 2 * usual:  # the freeze may begin and end anywhere within the usual pauses
        raise RecordsError(
            f"after record {len(copied)}, the last one in the image, the source went on after {pause:.2f} s,"
            f" but it was frozen for {held:.2f} s: the copy ends before the freeze"
        )
    return Proof(
        copied=len(copied),
        after_freeze=len(originals) - len(copied),
        written_by_image=len(own),
        pause=pause,
        usual_pause=usual,
    )


def _pause_around(originals: Sequence[Record], last: int) -> float:
    """A record has its time from before it is written, so the pause shows behind the last one that was copied
    or behind the one after it, which waited for the thaw."""
    around = originals[last - 1 : last + 2]
    if len(around) < 3:
        raise RecordsError("the source wrote nothing after the freeze: it stopped")
    return max(after.uptime - before.uptime for before, after in pairwise(around))
