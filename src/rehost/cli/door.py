"""The way into the data plane of this host."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rehost.compute.driver import VolumeSpec
from rehost.core.errors import ControlPlaneError
from rehost.flow.ports import Leave
from rehost.receive.ticket import Ticket, TicketVolume, sign

TICKET_SECONDS = 30 * 86400  # a copy may take weeks; what takes the right away earlier is a newer generation
_PATIENCE = 30.0  # seconds for a receiver that is being started again
SAME_HOST = ""  # the agent goes where it reaches the control plane


@dataclass(frozen=True, slots=True)
class LocalDoor:
    key: bytes
    port: Callable[[], int | None]  # where the receiver listens as of now
    host: str = SAME_HOST

    def leave(
        self, job: str, run: str, generation: int, volumes: Sequence[VolumeSpec], *, checksum: bool
    ) -> Leave:
        ticket = Ticket(
            replica=job,
            run=run,
            generation=generation,
            volumes=tuple(TicketVolume(v.volume, v.size, v.chunk) for v in volumes),
            checksum=checksum,
            expires=int(time.time()) + TICKET_SECONDS,
        )
        return Leave(sign(ticket, self.key), self.host, self._wait_for_port())

    def here(self) -> tuple[str, int] | None:
        port = self.port()
        return None if port is None else (self.host, port)

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if (port := self.port()) is not None:
                return port
            time.sleep(0.1)
        raise ControlPlaneError(
            "the receiver does not run", "see logs/receiver.err, then start the job again"
        )
