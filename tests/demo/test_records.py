"""The proof of the demo can fail: each way in which a copy can be wrong is told."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from demo.records import RecordsError, parse, prove

ROOT = Path(__file__).parents[2]
SOURCE, IMAGE = "source-boot", "image-boot"
FREEZE = 5.0


def record(number: int, boot: str, uptime: float) -> bytes:
    text = f"{number} {boot} 1700000000 {uptime:.2f}".encode()
    return text + b" " + hashlib.sha256(text).hexdigest().encode() + b"\n"


def source_file(last: int = 20, frozen_after: int = 10) -> bytes:
    """Ten records a second; record 11 waited for the thaw."""
    late = [FREEZE if number > frozen_after + 1 else 0.0 for number in range(1, last + 1)]
    return b"".join(
        record(n, SOURCE, n * 0.1 + wait) for n, wait in zip(range(1, last + 1), late, strict=True)
    )


def image_file(copied: int = 10, own: int = 3) -> bytes:
    lines = source_file().splitlines(keepends=True)[:copied]
    return b"".join(lines) + b"".join(record(copied + n, IMAGE, n * 0.1) for n in range(1, own + 1))


def test_a_whole_copy_is_proved() -> None:
    proof = prove(source_file(), image_file(), SOURCE, FREEZE)
    assert (proof.copied, proof.after_freeze, proof.written_by_image) == (10, 10, 3)
    assert proof.pause == pytest.approx(5.1)
    assert proof.usual_pause == pytest.approx(0.1)


def test_a_record_that_was_on_its_way_into_the_freeze_may_be_there() -> None:
    assert prove(source_file(), image_file(copied=11), SOURCE, FREEZE).copied == 11


@pytest.mark.parametrize(
    ("source", "image", "words"),
    [
        (source_file(), image_file(copied=8), "ends before the freeze"),
        (source_file(), image_file()[:-5], "is torn"),
        (source_file(), image_file().replace(b"4 source-boot", b"4 sourceXboot"), "is damaged"),
        (source_file(), b"".join(image_file().splitlines(keepends=True)[1:]), "first record is number 2"),
        (source_file().replace(record(5, SOURCE, 0.5), b""), image_file(), "6 comes after 4"),
        (source_file(), image_file(own=0), "no record of its own"),
        (source_file(), image_file(copied=0), "no record of the source"),
        (source_file(last=10), image_file(), "it stopped"),
        (source_file() + record(21, "another", 0.1), image_file(), "was restarted"),
        (
            source_file(),
            image_file().replace(record(3, SOURCE, 0.3), record(3, SOURCE, 0.4)),
            "not the first",
        ),
    ],
)
def test_what_is_wrong_is_told(source: bytes, image: bytes, words: str) -> None:
    with pytest.raises(RecordsError, match=re.escape(words)):
        prove(source, image, SOURCE, FREEZE)


def test_the_recorder_writes_what_is_parsed_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The program of the source machine itself, killed twice in the middle of its work."""
    file = tmp_path / "records"
    for _ in range(2):
        recorder = subprocess.Popen(["perl", ROOT / "demo/source/recorder", file, "0.001"])
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                recorder.wait(0.5)
        finally:
            recorder.kill()
            recorder.wait()
    content = file.read_bytes()
    records = parse(content[: content.rfind(b"\n") + 1], "of the test")
    assert len(records) > 2
    assert {record.boot for record in records} == {
        Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    }
