"""Heartbeats: the inventory and the state of this server, every HeartbeatRate seconds with jitter."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rehost import __version__
from rehost.agent import systeminfo
from rehost.agent.control import ControlClient
from rehost.agent.systeminfo import UsageMeter
from rehost.core.agentapi import Heartbeat
from rehost.core.errors import RehostError, code_of
from rehost.core.server import Inventory

RATE = 30.0  # seconds, until the control plane says otherwise
SOONER = 5.0  # seconds: after a heartbeat that failed the next one comes earlier

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Heart:
    """`collect` makes the inventory; its errors are told to the control plane with the last good one."""

    client: ControlClient
    collect: Callable[[], Inventory]
    usage: UsageMeter
    rate: float = RATE
    _last: Inventory | None = None
    _trouble: str = ""

    def loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            pause = self.rate if self.beat() else min(self.rate, SOONER)
            stop.wait(pause * random.uniform(0.9, 1.1))

    def beat(self) -> bool:
        """One heartbeat; whether the control plane has it."""
        try:
            answer = self.client.heartbeat(self._heartbeat())
        except RehostError as error:
            self._say(f"no heartbeat: {error}")
            return False
        self.rate = float(max(1, answer.heartbeat_rate))
        return True

    def _heartbeat(self) -> Heartbeat:
        code = message = ""
        try:
            self._last = self.collect()
        except RehostError as error:
            code, message = code_of(error), str(error)
            if self._last is None:
                raise
        self._say(message)
        return Heartbeat(
            inventory=self._last,
            system_info=systeminfo.render(self._last, self.usage.read()),
            agent_version=__version__,
            error_code=code,
            error_msg=message,
        )

    def _say(self, trouble: str) -> None:
        """Each trouble once, and its end."""
        if trouble and trouble != self._trouble:
            log.error("%s", trouble)
        if self._trouble and not trouble:
            log.info("over: %s", self._trouble)
        self._trouble = trouble
