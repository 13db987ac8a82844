"""Heartbeats: the inventory and the state of this server, every HeartbeatRate seconds at the latest.

They are collected in a thread of their own, as a disk that hangs is to hold up no command, and told between
two long polls, on their connection. One of their own would rest so long that the server closes it, and a new
one costs the control plane more than all else that an idle agent asks (docs/decisions/0027).
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable

from rehost import __version__
from rehost.agent.control import ControlClient
from rehost.agent.survey import systeminfo
from rehost.agent.survey.systeminfo import UsageMeter
from rehost.agent.trouble import Trouble
from rehost.core.agentapi import ASSIGNMENT_WAIT, Heartbeat
from rehost.core.errors import RehostError, code_of
from rehost.core.server import Inventory

RATE = 30.0  # seconds, until the control plane says otherwise
SOONER = 5.0  # seconds: after one that failed the next one comes earlier
_COLLECTING = 1  # seconds that an inventory takes at most, as a rule: the poll meanwhile is that much longer
LONGEST = ASSIGNMENT_WAIT - _COLLECTING  # seconds between two: then there is one poll between them, not two

log = logging.getLogger(__name__)


class Heart:
    """`collect` makes the inventory; its errors are told to the control plane with the last good one."""

    def __init__(
        self, client: ControlClient, collect: Callable[[], Inventory], usage: UsageMeter, rate: float = RATE
    ) -> None:
        """`client`: of the thread that calls `beat`."""
        self._client, self._collect, self._usage = client, collect, usage
        self.rate = rate
        self._last: Inventory | None = None
        self._lock = threading.Lock()
        self._ready: Heartbeat | None = None  # to be told
        self._due = time.monotonic()  # when the next one is collected
        self._server, self._way = Trouble(log), Trouble(log)  # with this server, with the control plane

    def loop(self, stop: threading.Event) -> None:
        """Collect one after the other."""
        while not stop.is_set():
            pause = self.collect()
            stop.wait(pause)

    def collect(self) -> float:
        """Have a heartbeat ready; seconds until the next one."""
        found = self._heartbeat()
        pause = min(self.rate, LONGEST if found else SOONER) * random.uniform(0.9, 1.0)
        with self._lock:
            self._ready, self._due = found, time.monotonic() + pause
        return pause

    def beat(self) -> bool:
        """Tell what was collected, if it is not told; whether the control plane has it."""
        with self._lock:
            told = self._ready
        if told is None:
            return True
        try:
            answer = self._client.heartbeat(told)
        except RehostError as error:
            if not self._client.closed:
                self._way.is_now(f"no heartbeat: {error}")
            return False
        self._way.is_now("")
        self.rate = float(max(1, answer.heartbeat_rate))
        with self._lock:
            self._ready = None if self._ready is told else self._ready
        return True

    def pause(self) -> int:
        """Seconds that a poll may take, so that the next heartbeat is told in time.

        One that is late doubles it: nobody knows when a disk that hangs answers.
        """
        with self._lock:
            if self._ready is not None:  # it could not be told
                return int(SOONER)
            left = self._due + _COLLECTING - time.monotonic()
        return max(1, min(math.ceil(abs(left)), ASSIGNMENT_WAIT))

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
