"""What the booted image is asked, and what its answer proves."""

import base64
import gzip
from pathlib import Path

from demo.records import Proof, RecordsError, prove
from demo.source_machine import RECORDS
from demo.source_server import SourceServer

# Run by the boot check inside the booted image, by its guest agent. The recorder is stopped last of all, so
# that its file holds still while it is read.
COMMAND = (
    "set -e; systemctl is-active recorder; cd /srv/data; sha256sum --quiet -c SHA256SUMS; "
    f"systemctl stop recorder; gzip -c {RECORDS} | base64 -w 0"
)


def check(source: SourceServer, boot: str, output: Path, held: float, keep: Path) -> Proof:
    """Both record files are kept in the folder `keep`; RecordsError says what is not as it has to be.

    `boot`: the source's boot id from before the migration; `output`: what COMMAND printed in the image.
    """
    image = records_of(output)
    # What is being written just now may be there in part; all before it was on stable storage.
    content = source.run(f"cat {RECORDS}")
    original = content[: content.rfind(b"\n") + 1]
    for name, records in (("records-image.log", image), ("records-source.log", original)):
        (keep / name).write_bytes(records)
    proof = prove(original, image, boot, held)
    state = source.run("systemctl show --property ActiveState --property NRestarts --value recorder").decode()
    if sorted(state.split()) != ["0", "active"]:
        raise RecordsError(f"the source's recorder did not run through: {' '.join(state.split())}")
    return proof


def records_of(output: Path) -> bytes:
    """The record file that COMMAND printed in the image."""
    state, _, encoded = output.read_text().strip().partition("\n")
    if state != "active":
        raise RecordsError(f"the recorder does not run in the image: {state}", f"see {output}")
    try:
        return gzip.decompress(base64.b64decode(encoded, validate=True))
    except (ValueError, OSError, EOFError) as error:
        raise RecordsError(f"the image's answer cannot be read: {error}", f"see {output}") from error
