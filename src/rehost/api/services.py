"""What the HTTP side needs of the rest: the records, the flow engine, the agent's files. Wired in `cli/`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rehost.api.wakeups import Wakeups
from rehost.store.jobs import QUOTA
from rehost.store.runs import RunType
from rehost.store.store import Store


class Engine(Protocol):
    """What carries jobs out. Calls return when the change is durable, not when the work is done."""

    def start_run(self, job_id: str, kind: RunType, actor: str) -> None:
        """Begin a job's next run, or the next generation of one that did not end.

        InvalidTransitionError when the job's state does not allow it.
        """

    def run_reported(self, run_id: str) -> None:
        """The agent's result of a run was recorded; also called again for a repeated result."""

    def delete_job(self, job_id: str, actor: str) -> None:
        """Move a job to Deleting, then release what it holds and remove it; its images stay.

        InvalidTransitionError while it runs.
        """

    def delete_source(self, source_id: str, actor: str) -> None:
        """Move a source server to Deleting, delete its jobs, then remove it.

        InvalidTransitionError when one of its jobs runs; then nothing has changed.
        """


@dataclass(frozen=True, slots=True)
class Services:
    store: Store
    engine: Engine
    wakeups: Wakeups
    install_script: Callable[[str], str]  # the control plane's URL as the agent sees it -> a shell script
    agent_file: Callable[[], Path]  # the self-contained agent; built on the first call if need be
    job_quota: int = QUOTA  # replication jobs of an account


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a caller who has been identified."""

    services: Services
    account: str
    actor: str  # the access key's id
    now: float

    @property
    def store(self) -> Store:
        return self.services.store
