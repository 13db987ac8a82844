"""What the HTTP side needs of the rest: records, lifecycle of jobs, agent files. Wired in `cli/`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rehost.api.throttling import Throttle
from rehost.api.wakeups import Wakeups
from rehost.core.agentapi import Result
from rehost.store.codes import QUOTA as CODES
from rehost.store.jobs import QUOTA
from rehost.store.keys import AccessKey
from rehost.store.runs import Run, RunType
from rehost.store.store import Store
from rehost.store.webhooks import QUOTA as WEBHOOKS
from rehost.store.workgroups import QUOTA as WORKGROUPS


class Lifecycle(Protocol):
    """What moves jobs: `flow` has it. Calls return when the change is durable, not when the work is done."""

    def start(self, job_id: str, actor: str, kind: RunType = RunType.MANUAL) -> Run | None:
        """Begin a job's next run, or the next generation of one that did not end. None: as soon as there is
        room for it.

        InvalidTransitionError when the job's state does not allow it.
        """

    def stop(self, job_id: str, actor: str) -> None:
        """Pause a copy; what is durable stays. InvalidTransitionError unless the job is syncing."""

    def cut_over(self, job_id: str, actor: str, *, sync: bool) -> Run:
        """End a job that runs again and again: as it is, or after one last run.

        InvalidTransitionError unless it waits.
        """

    def delete(self, job_id: str, actor: str) -> None:
        """Move a job to Deleting; what it holds is released, then it is gone; its images stay.

        InvalidTransitionError while it runs.
        """

    def delete_source(self, source_id: str, force: bool, actor: str) -> None:
        """Move a source server to Deleting, with `force` its jobs too.

        SourceServerStateError, RunningJobError or RelatedJobError; then nothing has changed.
        """

    def result(self, source_id: str, result: Result) -> bool:
        """Keep the end of a copy as the agent tells it; False when it tells of what is over."""


@dataclass(frozen=True, slots=True)
class Services:
    store: Store
    lifecycle: Lifecycle
    wakeups: Wakeups
    install_script: Callable[[str], str]  # the control plane's URL as the agent sees it -> a shell script
    agent_file: Callable[[], Path]  # the self-contained agent; built on the first call if need be
    job_quota: int = QUOTA  # replication jobs of an account
    webhook_quota: int = WEBHOOKS  # the same for webhooks
    code_quota: int = CODES  # and for activation codes, which the API calls access tokens
    workgroup_quota: int = WORKGROUPS  # and for workgroups
    throttle: Throttle = field(default_factory=Throttle)
    instance_roles: Callable[[], frozenset[str] | None] = lambda: None  # see `compute.driver.Driver`


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a caller who has been identified."""

    services: Services
    key: AccessKey
    now: float

    @property
    def account(self) -> str:
        return self.key.account

    @property
    def actor(self) -> str:
        """The access key's id."""
        return self.key.id

    @property
    def store(self) -> Store:
        return self.services.store
