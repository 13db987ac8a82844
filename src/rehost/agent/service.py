"""The agent at work: a thread each for inventory, the line to the control plane, the run, and progress."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rehost import __version__
from rehost.agent.control import ControlClient, RefusedError, persist
from rehost.agent.ending import wait_for
from rehost.agent.heart import Heart
from rehost.agent.identity import Identity
from rehost.agent.reporter import Reporter
from rehost.agent.runner import CarryOut, Runner, at_control_plane
from rehost.agent.survey import machine
from rehost.agent.survey.host import Host
from rehost.agent.survey.systeminfo import UsageMeter
from rehost.block.durable import sweep
from rehost.core.agentapi import AssignmentAnswer
from rehost.core.errors import AgentIdentityError, ClonedAgentError
from rehost.core.server import Inventory

PROGRESS_TIMEOUT = 5.0  # seconds; figures older than that are of no use
AFTER_REFUSAL = 30.0  # seconds until a refused agent asks again (its source server may have been deleted)
LAST_WAIT = 10.0  # seconds for a run to let go of its disks when the agent is told to end

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    identity: Identity
    state: Path
    collect: Callable[[], Inventory]
    carry_out: CarryOut
    host: Host = field(default_factory=Host)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; every thread then ends, a running copy without a result."""
        sweep(self.state)
        clients = {name: self._client(timeout) for name, timeout in _TIMEOUTS.items()}
        reporter = Reporter(clients["progress"])
        runner = Runner(self.state, clients["result"], reporter, self.carry_out)
        heart = Heart(clients["line"], self.collect, UsageMeter(self.host))
        threads = [
            _thread("heartbeat", heart.loop, stop),
            _thread("progress", reporter.loop, stop),
            _thread("run", runner.loop, stop),
            _thread("line", lambda stop: self._follow(clients["line"], heart, runner, stop), stop),
        ]
        log.info(
            "rehost agent %s works for %s as %s", __version__, self.identity.endpoint, self.identity.source_id
        )
        wait_for(stop)
        runner.end()
        for client in clients.values():
            client.close()
        deadline = time.monotonic() + LAST_WAIT
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _client(self, timeout: float) -> ControlClient:
        own = self.identity
        return ControlClient(own.endpoint, own.ca, own.authorization, timeout, machine.boot(self.host))

    def _follow(self, client: ControlClient, heart: Heart, runner: Runner, stop: threading.Event) -> None:
        """Heartbeats and long polls take turns."""
        version = 0

        def ask() -> AssignmentAnswer:
            heart.beat()
            return client.assignment(version, heart.pause())

        while not stop.is_set():
            try:
                answer = persist(ask, stop, "no commands")
            except RefusedError as error:
                log.error("the control plane refuses this agent: %s", error)
                if error.reported_code in (AgentIdentityError.code, ClonedAgentError.code):
                    runner.want(None)  # its source server was deleted, or never was this one: nothing is held
                    version = 0
                stop.wait(AFTER_REFUSAL)
                continue
            if answer is None:
                return
            if answer.version != version:
                version = answer.version
                assignment = answer.assignment and at_control_plane(answer.assignment, client.host)
                runner.want(assignment, answer.keep)


_TIMEOUTS = {"line": 15.0, "result": 15.0, "progress": PROGRESS_TIMEOUT}


def _thread(name: str, loop: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    """A daemon: an agent that is told to end does not wait for a hanging disk."""
    thread = threading.Thread(target=_guarded, args=(name, loop, stop), name=name, daemon=True)
    thread.start()
    return thread


def _guarded(name: str, loop: Callable[[threading.Event], None], stop: threading.Event) -> None:
    """A defect in one thread ends the agent (the service starts it again) rather than leaving half of it."""
    try:
        loop(stop)
    except Exception:
        log.exception("the agent's %s thread failed; the agent ends so that it is started again", name)
        stop.set()
