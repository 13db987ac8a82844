"""The port to durable execution: what the rest of rehost knows of it, and nothing of any product.

A workflow is a coroutine over a Context. It may be run again from its beginning at any time, in another
process too: steps that are done answer from their record, so the code between them has to be deterministic,
and a step that was cut off is done again, so every step can be repeated.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import Enum, auto
from typing import Any, Protocol


class Context(Protocol):
    """What a workflow may do."""

    async def step(self, name: str, work: Callable[[], str], *, heavy: bool = False) -> str:
        """The recorded outcome of work that runs in a thread; heavy work waits until the host has room."""

    async def receive(self, timeout: float) -> bool:
        """Wait for a signal; False when none came within `timeout` seconds. Nothing is held meanwhile."""


Workflow = Callable[..., Coroutine[Any, Any, None]]
"""Called with a Context and the arguments of its start."""

Workflows = Mapping[str, Workflow]


class WorkflowState(Enum):
    UNKNOWN = auto()  # never started
    ACTIVE = auto()
    ENDED = auto()


class Engine(Protocol):
    """Safe to use from many threads. It carries out what was started by it, or by another one of its host."""

    @property
    def host(self) -> str:
        """Whose workflows it carries out; empty: it is the only one."""

    def start(self, workflow: str, workflow_id: str, *arguments: str) -> None:
        """Durably begun when it returns; an id that was started before is left as it is."""

    def signal(self, workflow_id: str) -> None:
        """Wake a workflow that waits, or will; without effect on one that is unknown or over."""

    def state(self, workflow_id: str) -> WorkflowState: ...

    def adopt(self, workflow_ids: Sequence[str]) -> None:
        """Carry out what was started without a host, and only that."""

    def close(self) -> None:
        """Stop; what is active goes on when an engine is opened on the same data again."""


class InterruptedByStopError(Exception):
    """Raised by a step that gives up because the process stops: it leaves no record and is done again."""
