"""How fast a connection's network is, from the kernel's own estimate."""

import socket
import time
from collections import deque
from struct import Struct
from struct import error as StructError

_PERIOD = 0.05  # seconds between two looks
_LOOKS = 40  # that count
_RATE = Struct("=160xQ")  # Linux' struct tcp_info: delivery_rate (4.9 or later)


class LinkSpeed:
    """The best of the kernel's latest delivery rates. The others say how fast the sender was, or the
    receiver's disk: compression would not help these."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._looked = 0.0
        self._rates: deque[int] = deque(maxlen=_LOOKS)

    def __call__(self) -> float | None:
        """Bytes a second, lately; None before anything was sent, or if the kernel does not tell."""
        now = time.monotonic()
        if now - self._looked >= _PERIOD:
            self._looked = now
            self._look()
        return float(max(self._rates, default=0)) or None

    def _look(self) -> None:
        try:
            info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            self._rates.append(_RATE.unpack_from(info)[0])
        except (OSError, StructError):
            return
