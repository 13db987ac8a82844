"""Heartbeats: the inventory and the state of this server, every HeartbeatRate seconds with jitter."""

import logging
import random
import threading
from collections.abc import Callable

from rehost import __version__
from rehost.agent.control import ControlClient
from rehost.agent.survey import systeminfo
from rehost.agent.survey.systeminfo import UsageMeter
from rehost.agent.trouble import Trouble
from rehost.core.agentapi import Heartbeat
from rehost.core.errors import RehostError, code_of
from rehost.core.server import Inventory

RATE = 30.0  # seconds, until the control plane says otherwise
SOONER = 5.0  # seconds: after a heartbeat that failed the next one comes earlier

log = logging.getLogger(__name__)


class Heart:
    """`collect` makes the inventory; its errors are told to the control plane with the last good one."""

    def __init__(
        self, client: ControlClient, collect: Callable[[], Inventory], usage: UsageMeter, rate: float = RATE
    ) -> None:
        self._client, self._collect, self._usage = client, collect, usage
        self.rate = rate
        self._last: Inventory | None = None
        self._server, self._way = Trouble(log), Trouble(log)  # with this server, with the control plane

    def loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            pause = self.rate if self.beat() else min(self.rate, SOONER)
            stop.wait(pause * random.uniform(0.9, 1.1))

    def beat(self) -> bool:
        """One heartbeat; whether the control plane has it."""
        heartbeat = self._heartbeat()
        if heartbeat is None:
            return False
        try:
            answer = self._client.heartbeat(heartbeat)
        except RehostError as error:
            if not self._client.closed:
                self._way.is_now(f"no heartbeat: {error}")
            return False
        self._way.is_now("")
        self.rate = float(max(1, answer.heartbeat_rate))
        return True

    def _heartbeat(self) -> Heartbeat | None:
        """None as long as there was no inventory at all."""
        code = message = ""
        try:
            self._last = self._collect()
        except RehostError as error:
            code, message = code_of(error), str(error)
        except Exception as error:  # a defect in the inventory must not end a copy that works
            log.exception("the inventory failed by a defect of the agent")
            code, message = RehostError.code, f"the inventory failed: {type(error).__name__}: {error}"
        self._server.is_now(message)
        if self._last is None:
            return None
        return Heartbeat(
            inventory=self._last,
            system_info=systeminfo.render(self._last, self._usage.read()),
            agent_version=__version__,
            error_code=code,
            error_msg=message,
        )
