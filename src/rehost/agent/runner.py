"""Carries out what the control plane wants, the newest assignment only, and tells how it ended."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehost.agent import outcome
from rehost.agent.control import ControlClient, RefusedError, persist
from rehost.agent.copy import checkpoint
from rehost.agent.outcome import Outcome
from rehost.agent.reporter import Reporter
from rehost.block.crashpoint import reach
from rehost.core.agentapi import Assignment, ErrorReport, Progress, Result, RunReport
from rehost.core.errors import RehostError, code_of

CarryOut = Callable[[Assignment, Callable[[Progress], None], threading.Event], RunReport]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Task:
    """A run that is being carried out (`assignment`), one whose result is being delivered, or a checkpoint
    that is being forgotten (`forgets`)."""

    key: tuple[str, int] = ("", 0)
    assignment: Assignment | None = None
    forgets: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def goes_on(self, wanted: Assignment | None) -> bool:
        """Any change of what is asked for (a receiver's port, say) begins anew; what is durable stays.

        A result is of use until another run or generation is wanted.
        """
        if self.assignment is not None:
            return wanted == self.assignment
        return wanted is None or _key(wanted) == self.key


class Runner:
    """`want` says what is wanted now, from any thread; `loop` does it, or tells again that it is done."""

    def __init__(self, state: Path, client: ControlClient, reporter: Reporter, carry_out: CarryOut) -> None:
        self._state, self._client, self._reporter = state, client, reporter
        self._carry_out = carry_out
        self._changed = threading.Condition()
        self._wanted: Assignment | None = None
        self._task: _Task | None = None
        self._ending = False
        self._outcome = outcome.load(state)
        self._keep_of: str | None = None  # the job whose checkpoint stays; None: nobody said yet
        self._checkpoint_of = _checkpoint_of(state)  # the job; empty: there is none

    def want(self, assignment: Assignment | None, keep: str = "") -> None:
        """The same goes on; anything else stops what runs now. `keep`: see `AssignmentAnswer`."""
        with self._changed:
            self._wanted, self._keep_of = assignment, keep
            if assignment and self._outcome and self._outcome.key == _key(assignment):
                # Told already: the control plane may have lost it with records that were brought back.
                self._outcome = replace(self._outcome, delivered=False)
            if self._task and not self._task.goes_on(assignment):
                self._task.stop.set()
            self._changed.notify_all()

    def end(self) -> None:
        """Stop for good, without a result: the agent ends, the run goes on when it is back."""
        with self._changed:
            self._ending = True
            if self._task:
                self._task.stop.set()
            self._changed.notify_all()

    def loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            task = self._next()
            if task is None:
                return
            if task.forgets:
                self._forget()
            elif task.assignment is not None:
                self._perform(task.assignment, task.stop)
                self._checkpoint_of = _checkpoint_of(self._state)
            elif self._outcome is not None:
                self._deliver(self._outcome.result, task.stop)

    def _next(self) -> _Task | None:
        """Waits for something to do; None when the agent ends."""
        with self._changed:
            self._task = None
            self._changed.wait_for(lambda: self._ending or self._due() is not None)
            self._task = None if self._ending else self._due()
            return self._task

    def _due(self) -> _Task | None:
        if self._checkpoint_of and self._keep_of not in (None, self._checkpoint_of):
            return _Task(forgets=True)
        last, wanted = self._outcome, self._wanted
        if last and not last.delivered and (wanted is None or _key(wanted) == last.key):
            return _Task(last.key)
        if wanted is None or (last and last.key == _key(wanted)):
            return None
        return _Task(_key(wanted), wanted)

    def _forget(self) -> None:
        log.info("writes are not tracked any more for the job %s", self._checkpoint_of)
        try:
            checkpoint.forget(self._state)
        except OSError as error:
            log.warning("the checkpoint in %s cannot be removed: %s", self._state, error.strerror)
        self._checkpoint_of = ""

    def _perform(self, run: Assignment, stop: threading.Event) -> None:
        log.info("run %s (generation %d) starts: %d disks", run.run, run.generation, len(run.volumes))
        result = self._result(run, stop)
        self._reporter.clear()
        if result is None:
            log.info("run %s (generation %d) was stopped", run.run, run.generation)
        else:
            self._keep(Outcome(result))
            reach("agent.result_kept")

    def _result(self, run: Assignment, stop: threading.Event) -> Result | None:
        """How the run ended; None when it was stopped, which is no end of its own."""
        try:
            report = self._carry_out(run, self._reporter.offer, stop)
        except RehostError as error:
            if stop.is_set():
                return None
            log.error("run %s failed: %s", run.run, error)
            return _failed(run, ErrorReport(code_of(error), error.what, error.advice))
        except (
            Exception
        ) as error:  # a defect of the agent: the job has to say so, and the agent has to live on
            log.exception("run %s failed by a defect of the agent", run.run)
            advice = "report it with the agent's log (journalctl -u rehost-agent), then start the job again"
            return _failed(run, ErrorReport(RehostError.code, f"{type(error).__name__}: {error}", advice))
        log.info("run %s is complete: %d bytes read, %d sent", run.run, report.read, report.sent)
        return Result(run.run, run.generation, report=report)

    def _deliver(self, result: Result, stop: threading.Event) -> None:
        def send() -> bool:
            self._client.result(result)
            return True

        try:
            if not persist(send, stop, f"the result of run {result.run} is not delivered"):
                return
        except RefusedError as error:
            log.error("the control plane does not take the result of run %s: %s", result.run, error)
        reach("agent.result_delivered")
        self._keep(Outcome(result, delivered=True))
        reach("agent.delivery_kept")

    def _keep(self, kept: Outcome) -> None:
        self._outcome = kept
        try:
            outcome.save(self._state, kept)
        except OSError as error:
            log.error(
                "the result of run %s cannot be kept in %s (%s); it is sent all the same. Make room there.",
                kept.result.run,
                self._state,
                error.strerror,
            )


def _checkpoint_of(state: Path) -> str:
    known = checkpoint.load(state)
    return known.job if known else ""


def _key(assignment: Assignment) -> tuple[str, int]:
    return assignment.run, assignment.generation


def _failed(run: Assignment, error: ErrorReport) -> Result:
    return Result(run.run, run.generation, error=error)


def at_control_plane(assignment: Assignment, host: str) -> Assignment:
    """An assignment without a receiver's host means the control plane's, as this agent knows it."""
    return assignment if assignment.receiver_host else replace(assignment, receiver_host=host)
