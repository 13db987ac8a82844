"""Carries out what the control plane wants, the newest assignment only, and tells how it ended."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rehost.agent import outcome
from rehost.agent.control import ControlClient, RefusedError, persist
from rehost.agent.outcome import Outcome
from rehost.agent.reporter import Reporter
from rehost.core.agentapi import Assignment, ErrorReport, Progress, Result, RunReport
from rehost.core.errors import RehostError, code_of

CarryOut = Callable[[Assignment, Callable[[Progress], None], threading.Event], RunReport]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Current:
    assignment: Assignment
    stop: threading.Event = field(default_factory=threading.Event)


class Runner:
    """`want` says what is wanted now, from any thread; `loop` does it."""

    def __init__(self, state: Path, client: ControlClient, reporter: Reporter, carry_out: CarryOut) -> None:
        self._state, self._client, self._reporter = state, client, reporter
        self._carry_out = carry_out
        self._changed = threading.Condition()
        self._wanted: Assignment | None = None
        self._current: _Current | None = None
        self._ending = False
        self._outcome = outcome.load(state)

    def want(self, assignment: Assignment | None) -> None:
        """The same run and generation goes on; anything else stops what runs now."""
        with self._changed:
            self._wanted = assignment
            if self._current and not _same(self._current.assignment, assignment):
                self._current.stop.set()
            self._changed.notify_all()

    def end(self) -> None:
        """Stop for good, without a result: the agent ends, the run goes on when it is back."""
        with self._changed:
            self._ending = True
            if self._current:
                self._current.stop.set()
            self._changed.notify_all()

    def loop(self, stop: threading.Event) -> None:
        if self._outcome and not self._outcome.delivered:
            log.info("sending the result of run %s again", self._outcome.result.run)
            self._deliver(self._outcome.result, stop)
        while not stop.is_set():
            current = self._next()
            if current is not None:
                self._perform(current)

    def _next(self) -> _Current | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._due())
            self._current = _Current(self._wanted) if self._wanted and not self._ending else None
            return self._current

    def _due(self) -> bool:
        """Whether something is wanted that has not come to its end before."""
        wanted = self._wanted
        return wanted is not None and not (self._outcome and self._outcome.key == _key(wanted))

    def _perform(self, current: _Current) -> None:
        run = current.assignment
        log.info("run %s (generation %d) starts: %d disks", run.run, run.generation, len(run.volumes))
        result = self._result(current)
        self._reporter.clear()
        if result is None:
            log.info("run %s (generation %d) was stopped", run.run, run.generation)
        else:
            self._keep(Outcome(result))
            self._deliver(result, current.stop)
        with self._changed:
            self._current = None

    def _result(self, current: _Current) -> Result | None:
        """How the run ended; None when it was stopped, which is no end of its own."""
        run = current.assignment
        try:
            report = self._carry_out(run, self._reporter.offer, current.stop)
        except RehostError as error:
            if current.stop.is_set():
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
        self._keep(Outcome(result, delivered=True))

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


def _key(assignment: Assignment) -> tuple[str, int]:
    return assignment.run, assignment.generation


def _same(one: Assignment, other: Assignment | None) -> bool:
    return other is not None and _key(one) == _key(other)


def _failed(run: Assignment, error: ErrorReport) -> Result:
    return Result(run.run, run.generation, error=error)


def at_control_plane(assignment: Assignment, host: str) -> Assignment:
    """An assignment without a receiver's host means the control plane's, as this agent knows it."""
    return assignment if assignment.receiver_host else replace(assignment, receiver_host=host)
