"""The engine port on DBOS: each host has a queue, and goes on with what is its own at every start.

Its tables are in a file of their own (SQLite), or in the schema "dbos" of the records' database (PostgreSQL).

DBOS is a singleton of the process; so is this engine.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from dbos import DBOS, SetWorkflowID, WorkflowSerializationFormat
from dbos._error import DBOSNonExistentWorkflowError

from rehost.flow.engine import InterruptedByStopError, Workflows, WorkflowState
from rehost.flow.full_disk import wait_for_room

EXECUTOR = "rehost"  # fixed, or the host's id: a start recovers what the same executor left
VERSION = "1"
"""Of the workflows' steps, their names and order: raise it when they change, and only then.

DBOS takes from a queue, and recovers, workflows of its own version only, and its default would be a hash of
the code. What an older version has left on this host is forgotten at the start, and begins anew from its
job's row: the steps that it is past have nothing to do. Hosts of several versions work at the same time, each
on workflows that it has started itself.
"""
QUEUE = "jobs"  # coroutines from a queue run on DBOS's own event loop and hold no thread while they wait
POLL = 0.25  # seconds between two looks for signals
THREADS = 32  # for steps and DBOS's own database calls; what waits needs none
HEAVY = 1  # heavy steps at a time: each keeps the cores busy with a virtual machine

_ACTIVE = {"PENDING", "ENQUEUED", "DELAYED"}

_log = logging.getLogger(__name__)


class DbosEngine:
    def __init__(self, where: Path | str, workflows: Workflows, heavy: int = HEAVY, host: str = "") -> None:
        """Open the engine's database, a file or an URL, and go on with every workflow of the host that is not
        over."""
        self.host = host
        self._queue = f"{QUEUE}-{host}" if host else QUEUE
        self._at_close = ExitStack()
        if isinstance(where, Path):
            _turn_on_wal(where)
            self._at_close.callback(wait_for_room(where))
        self._slots = asyncio.Semaphore(heavy)
        self._busy = _Busy()
        logging.getLogger("dbos").setLevel(logging.ERROR)
        DBOS(
            config={
                "name": "rehost",
                "system_database_url": f"sqlite:///{where}" if isinstance(where, Path) else where,
                "application_version": VERSION,
                "executor_id": host or EXECUTOR,
                "log_level": "ERROR",
                "max_executor_threads": THREADS,
                "notification_listener_polling_interval_sec": POLL,
            }
        )

        @DBOS.workflow(
            name="workflow",
            max_recovery_attempts=None,
            serialization_type=WorkflowSerializationFormat.PORTABLE,
        )
        async def carry_out(name: str, arguments: list[str]) -> None:
            await workflows[name](_DbosContext(self._slots, self._busy), *arguments)

        self._carry_out = carry_out
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        _forget_other_versions(self._queue)
        DBOS.register_queue(self._queue, polling_interval_sec=POLL)

    def start(self, workflow: str, workflow_id: str, *arguments: str) -> None:
        with SetWorkflowID(workflow_id):
            DBOS.enqueue_workflow(self._queue, self._carry_out, workflow, list(arguments))

    def adopt(self, workflow_ids: Sequence[str]) -> None:
        """On the queue that they are on nobody listens any more."""
        if self._queue == QUEUE or not workflow_ids:
            return
        found = DBOS.list_workflows(
            workflow_ids=list(workflow_ids), queue_name=QUEUE, status=sorted(_ACTIVE), load_input=False
        )
        if found:
            DBOS.resume_workflows([each.workflow_id for each in found], queue_name=self._queue)

    def signal(self, workflow_id: str) -> None:
        try:
            DBOS.send(workflow_id, "wake", "signal")
        except DBOSNonExistentWorkflowError:
            return  # the port's word: without effect on one that is unknown

    def state(self, workflow_id: str) -> WorkflowState:
        status = DBOS.get_workflow_status(workflow_id)
        if status is None:
            return WorkflowState.UNKNOWN
        return WorkflowState.ACTIVE if status.status in _ACTIVE else WorkflowState.ENDED

    @property
    def busy(self) -> bool:
        """A step is running, though the engine may be closed: steps are not interrupted."""
        return self._busy.count > 0

    def close(self) -> None:
        DBOS.destroy(destroy_registry=True)
        self._at_close.close()


class _DbosContext:
    def __init__(self, slots: asyncio.Semaphore, busy: "_Busy") -> None:
        self._slots = slots
        self._busy = busy

    async def step(self, name: str, work: Callable[[], str], *, heavy: bool = False) -> str:
        return await DBOS.run_step_async({"name": name}, self._heavily if heavy else self._do, work)

    async def receive(self, timeout: float) -> bool:
        return await DBOS.recv_async("signal", timeout) is not None

    async def _heavily(self, work: Callable[[], str]) -> str:
        async with self._slots:
            return await self._do(work)

    async def _do(self, work: Callable[[], str]) -> str:
        """A step that gave up because of the stop is cancelled: DBOS records nothing of it."""
        try:
            return await asyncio.to_thread(self._busy.during, work)
        except InterruptedByStopError:
            raise asyncio.CancelledError from None


class _Busy:
    """Counts the steps whose threads run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def during(self, work: Callable[[], str]) -> str:
        with self._lock:
            self.count += 1
        try:
            return work()
        finally:
            with self._lock:
                self.count -= 1


def _forget_other_versions(queue: str) -> None:
    """Of this host: another one may be of an older release still, and goes on."""
    active = DBOS.list_workflows(
        queue_name=queue, status=sorted(_ACTIVE), load_input=False, load_output=False
    )
    others = [each.workflow_id for each in active if each.app_version not in (None, VERSION)]
    if others:
        _log.info("%d workflows of another version begin anew", len(others))
        DBOS.delete_workflows(others)


def _turn_on_wal(path: Path) -> None:
    """The mode is kept in the file; DBOS itself never sets it, and readers would wait for writers."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
