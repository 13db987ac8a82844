"""A job whose copy is under way, and what its agent says."""

from rehost.core.agentapi import DiskProgress, Phase, Progress
from rehost.core.job import Event
from rehost.core.round import RoundKind
from rehost.store.jobspec import JobSpec
from rehost.store.runs import RunType
from rehost.store.store import Store


def syncing(store: Store, source: str) -> tuple[str, str]:
    """Job and run."""
    job = store.jobs.create("one", JobSpec(source), None, "k")
    run = store.runs.begin(job.id, Event.START, RunType.MANUAL, "k")
    store.jobs.apply(job.id, Event.PREPARED, "rehost")
    return job.id, run.id


def told(run: str, done: int, kind: RoundKind = RoundKind.BASELINE, generation: int = 1) -> Progress:
    disk = DiskProgress(0, 100, done, done, done, done, 1.0, None)
    return Progress(run, generation, Phase.COPYING, 1, kind, (disk,))
