"""Places in the code where tests kill the process, to see that nothing is lost there.

A point stands after each durable action of a run (so it is also the point before the next one), and before
the first of a step. REHOST_CRASH_AT names a file, and that file one point; the first process that reaches the
point takes the file away and kills itself. Without the variable nothing happens.
"""

import os
import signal
from contextlib import suppress

VARIABLE = "REHOST_CRASH_AT"

POINTS = (
    # A small file is written beside its place; nobody may ever see it there.
    "file.written",
    # The job begins.
    "start.begun", "start.enqueued", "due.begun",
    # Prepare.
    "prepare.begun", "layer.built", "layer.placed", "replica.begun", "replica.fenced", "replica.described",
    "replica.raised", "prepare.made", "prepare.handed_over",
    # Sync, on the source and where it writes.
    "agent.checkpoint_begun", "agent.checkpoint_saved", "agent.result_kept", "agent.result_delivered",
    "agent.delivery_kept",
    "commit.forgotten", "commit.written", "commit.flushed", "commit.recorded", "commit.durable",
    "result.recorded", "sync.reported", "sync.done",
    # Process.
    "build.begun", "seal.data", "seal.nodes", "seal.sealed", "build.sealed", "build.reserved", "image.built",
    "image.placed", "build.overlaid", "build.converted", "build.synced",
    "build.recorded",
    "check.begun", "check.booted",
    "finish.begun", "finish.ready", "finish.registered", "finish.noted", "finish.done",
    # Clean, with the images that a job does not keep and the layers that no image needs.
    "clean.begun", "trim.deleted", "folder.put_aside",
    "merge.marked", "merge.committed", "merge.journal", "merge.nodes", "merge.rebased", "merge.sealed",
    "merge.removed", "merge.done", "retain.trimmed", "retain.removed", "clean.retained", "clean.done",
    # A host takes a dead one's job over, and deletes the image that was being made.
    "takeover.begun", "takeover.taken", "takeover.enqueued", "given_up.deleted", "given_up.removed",
    # A run that fails, and what people do to a job.
    "fail.begun", "fail.image", "fail.image_recorded", "fail.noted", "fail.done",
    "stop.asked", "nudge.begun", "stop.done",
    "release.begun", "release.image", "release.image_removed", "discard.marked",
    "release.discarded", "release.done",
    "source.removed",
    # What was brought back from a backup is made fit to be served.
    "restore.copied", "restore.key", "restore.engine", "restore.skipped", "restore.failed", "restore.begun",
    "restore.reconciled",
    # A webhook's receiver has said that it has a message.
    "webhook.answered",
)  # fmt: skip

_ORDER = os.environ.get(VARIABLE)


def reach(point: str) -> None:
    """Die here, at once and without any cleaning up, if this is the point that was asked for."""
    if _ORDER is not None:
        _obey(_ORDER, point)


def _obey(order: str, point: str) -> None:
    with suppress(FileNotFoundError):
        with open(order) as file:
            wanted = file.read()
        if wanted == point:
            os.rename(order, f"{order}.reached")  # of several threads and processes one alone succeeds
            os.kill(os.getpid(), signal.SIGKILL)
